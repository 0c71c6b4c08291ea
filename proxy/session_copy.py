"""A bounded copy of one direction of a WebSocket session.

Owns what stays of a session that is longer than the limit: its beginning as it passed, and of
what follows the messages that hold a telling key, such as those with usage. A mark in the copy says
from where on others are left out, and another where one was lost that might have told something,
so that nobody takes a part of the usage for all of it. Refuses to read messages beyond looking for
the keys; a message that is too long to be looked at is lost.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.body_copy import BodyCopy
from proxy.wire.websocket_frame import (
    CLOSE,
    CONTINUATION,
    LEFT_OUT,
    LOST,
    TEXT,
    Frame,
    frame_at,
    frame_of,
    head_bytes,
    unmasked,
)
from proxy.wire.websocket_frames import Inflater

LONGEST_BYTES = 2 << 20
"""Of a message that is looked at."""


class SessionCopy(BodyCopy):
    """As `BodyCopy`, for what passes in one direction after the handshake."""

    __slots__ = (
        *(
            "_broken",
            "_frame",
            "_gathered",
            "_head_bytes",
            "_inflater",
            "_is_lost",
            "_keys",
            "_left",
        ),
        *("_longest", "_message", "_piece", "_raw", "_started", "_thin_from", "_thinned_at"),
        *("_too_long", "_written"),
    )

    def __init__(self, limit: int, keys: Sequence[bytes]) -> None:
        super().__init__(limit)
        self._keys = keys
        self._thin_from = self._head_limit * 3 // 4
        """Where the beginning ends; the rest is kept free for the messages that tell something."""
        self._longest = min(LONGEST_BYTES, self._head_limit)
        self._written = 0
        self._thinned_at: int | None = None
        self._broken = False
        """What passes are no frames: it is copied as any other body."""
        self._is_lost = False
        self._inflater = Inflater(fresh_each=False, longest=self._longest)
        self._head_bytes = bytearray()
        """Of the frame that begins; its end has not passed yet."""
        self._frame: Frame | None = None
        self._left = 0
        self._piece: list[bytes] = []
        self._message: list[bytes] = []
        self._gathered = 0
        self._started: Frame | None = None
        """The first frame of the message under way."""
        self._raw = True
        self._too_long = False

    def add(self, data: bytes) -> None:
        at = 0
        while at < len(data) and not self._broken:
            if self._frame is None:
                at = self._add_head(data, at)
            else:
                at = self._add_payload(self._frame, data, at)
        self.total += at
        if at < len(data) and self._thinned_at is None:
            super().add(data[at:])
        elif at < len(data):
            self.total += len(data) - at

    def tail(self) -> bytes:
        if self._broken and self._thinned_at is None:
            return super().tail()
        return bytes(self._head_bytes) if self._raw else b""

    @property
    def gap(self) -> int | None:
        if self._thinned_at is None and self._broken:
            return super().gap
        return self._thinned_at

    def _add_head(self, data: bytes, at: int) -> int:
        """Take in the head of a frame as far as it has come; returns where it ends."""
        held = self._head_bytes
        while at < len(data):
            held.append(data[at])
            at += 1
            if len(held) == head_bytes(held):
                break
            if len(held) == 1 and frame_at(bytes(held), 0) is None:
                break
        else:
            return at
        frame = frame_at(bytes(held), 0)
        if frame is None:
            self._break()
            return at
        self._begin(frame, bytes(held))
        held.clear()
        if not self._left:
            self._end(frame)
        return at

    def _break(self) -> None:
        """Whatever this is, no later frame can be told from it."""
        self._broken = True
        if self._thinned_at is None:
            self._keep(bytes(self._head_bytes))
        else:
            self._lose()
        self._head_bytes.clear()

    def _begin(self, frame: Frame, head: bytes) -> None:
        self._frame, self._left, self._piece = frame, frame.end - frame.start, []
        ends = self._written + frame.end
        if not frame.is_control and frame.opcode != CONTINUATION:
            self._started, self._message = frame, []
            self._gathered, self._too_long = 0, False
            self._raw = self._thinned_at is None and ends <= self._thin_from
        elif self._raw and ends > self._head_limit:
            self._raw = False  # its first frames are in the beginning, but it goes too far
            self._too_long = True
        if not self._raw and self._thinned_at is None:
            self._thinned_at = self._written
            self._keep(LEFT_OUT)
        if self._raw:
            self._keep(head)

    def _add_payload(self, frame: Frame, data: bytes, at: int) -> int:
        piece = data[at : at + self._left]
        self._left -= len(piece)
        if self._raw:
            self._keep(piece)
        if not self._raw or (self._started is not None and self._started.compressed):
            self._gather(frame, piece)
        if not self._left:
            self._end(frame)
        return at + len(piece)

    def _gather(self, frame: Frame, piece: bytes) -> None:
        if frame.is_control:
            self._piece.append(piece)
            return
        self._gathered += len(piece)
        self._too_long |= self._gathered > self._longest
        if not self._too_long:
            self._piece.append(piece)

    def _end(self, frame: Frame) -> None:
        self._frame = None
        payload = unmasked(b"".join(self._piece), frame.mask)
        if frame.is_control:
            if frame.opcode == CLOSE and not self._raw:
                self._keep(frame_of(CLOSE, payload))
            return
        if payload:
            self._message.append(payload)
        if frame.final:
            self._end_message()

    def _end_message(self) -> None:
        started, payload = self._started, b"".join(self._message)
        self._started, self._message = None, []
        text: bytes | None = payload
        if started is not None and started.compressed:
            text = None if self._too_long else self._inflater.inflate(payload)
            if text is None:
                self._inflater.forget()
        if self._raw:
            return
        if text is None or self._too_long or started is None:
            self._lose()
        elif any(key in text for key in self._keys):
            told = frame_of(TEXT, text)
            if self._written + len(told) <= self._head_limit:
                self._keep(told)
            else:
                self._lose()

    def _lose(self) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._keep(LOST)

    def _keep(self, data: bytes) -> None:
        self._head.append(data)
        self._pending += len(data)
        self._written += len(data)
