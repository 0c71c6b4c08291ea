"""Messages of one direction of a WebSocket, from the bytes that passed after the handshake.

Owns fragments (RFC 6455, section 5.4) and compressed messages (RFC 7692). A copy may be cut at any
byte, and bytes may be missing: behind a gap, reading goes on where a chain of frames fits up to the
end. A copy whose marks say that nothing telling is missing is whole. Refuses to interpret messages,
and to need the handshake: a compressed message says that it is one, and keeping the window does no
harm to peers that do not.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from proxy.wire.websocket_frame import CLOSE, CONTINUATION, Frame, frame_at, is_loss, unmasked

MAX_MESSAGE_BYTES = 64 << 20
_DEFLATE_END = b"\x00\x00\xff\xff"
# First bytes that a frame can have.
_FIRST_BYTE = re.compile(rb"[\x00\x01\x02\x40-\x42\x80-\x82\xc0-\xc2\x88-\x8a]")
_SURE_CHAIN = 3
_TRIED_FRAMES = 100_000


@dataclass(slots=True)
class Messages:
    """What passed: data messages in order, the close code with its reason, and what is lost."""

    found: list[bytes] = field(default_factory=list)
    closed: tuple[int, str] | None = None
    unreadable: int = 0
    has_gap: bool = False

    @property
    def parse_error(self) -> str | None:
        if self.has_gap:
            return "frames are missing"
        return f"{self.unreadable} unreadable messages" if self.unreadable else None


def read_messages(segments: Sequence[bytes]) -> Messages:
    """All messages that are whole. Between two segments bytes are missing. Never raises."""
    messages = Messages(has_gap=len(segments) > 1)
    for number, segment in enumerate(segments):
        start = _resumed(segment) if number else 0
        _read_segment(segment, start, messages, Inflater(fresh_each=number > 0))
    return messages


def _read_segment(data: bytes, start: int, messages: Messages, inflater: Inflater) -> None:
    pieces: list[bytes] | None = None
    compressed = False
    for frame in _frames(data, start):
        if frame is None:
            messages.unreadable += 1
            return
        payload = unmasked(data[frame.start : frame.end], frame.mask)
        if frame.is_control:
            if frame.opcode == CLOSE:
                messages.closed = _close(payload)
            messages.has_gap |= is_loss(frame, payload)
            continue
        if frame.opcode != CONTINUATION:
            pieces, compressed = [], frame.compressed
        if pieces is None:
            continue  # its beginning is behind the gap
        pieces.append(payload)
        if frame.final:
            _add(messages, b"".join(pieces), inflater if compressed else None)
            pieces = None


def _add(messages: Messages, payload: bytes, inflater: Inflater | None) -> None:
    text = inflater.inflate(payload) if inflater else payload
    if text is None:
        messages.unreadable += 1
    else:
        messages.found.append(text)


def _frames(data: bytes, at: int) -> Iterator[Frame | None]:
    """The whole frames from an offset on; None, and no more, where there is no frame."""
    while at < len(data):
        frame = frame_at(data, at)
        if frame is None or frame.end <= len(data):
            yield frame
        if frame is None:
            return
        at = frame.end


def _resumed(data: bytes) -> int:
    """The first offset from which frames follow each other up to the end.

    Any byte may look like a frame, so that one is taken for certain only where several follow or
    where the last ends with the copy. Bytes made to look like frames do not take for ever.
    """
    tried = 0
    for place in _FIRST_BYTE.finditer(data):
        fits, frames = _fits(data, place.start())
        if fits:
            return place.start()
        tried += frames + 1
        if tried > _TRIED_FRAMES:
            break
    return len(data)


def _fits(data: bytes, at: int) -> tuple[bool, int]:
    """Whether frames follow each other from an offset up to the end, and how many do."""
    frames, in_message, masked = 0, None, None
    while at < len(data):
        frame = frame_at(data, at)
        if frame is None or masked not in (None, bool(frame.mask)):
            return False, frames
        if frame.end > len(data):
            return frames >= _SURE_CHAIN, frames
        if not frame.is_control:
            begins = frame.opcode != CONTINUATION
            if in_message is not None and in_message is begins:
                return False, frames
            in_message = not frame.final
        masked = bool(frame.mask)
        frames, at = frames + 1, frame.end
    return frames > 0, frames


def _close(payload: bytes) -> tuple[int, str] | None:
    if len(payload) < 2:
        return None
    return int.from_bytes(payload[:2]), payload[2:].decode("utf-8", "replace")


class Inflater:
    """Inflates one direction's messages, with the window kept from one to the next.

    `fresh_each`: the window is behind a gap. Then a message can be read only if it refers to
    nothing before it; zlib refuses the others.
    """

    def __init__(self, *, fresh_each: bool, longest: int | None = None) -> None:
        self._fresh_each = fresh_each
        self._longest = longest or MAX_MESSAGE_BYTES
        self._codec = zlib.decompressobj(-zlib.MAX_WBITS)

    def forget(self) -> None:
        """A message was left out: what the next ones refer to is not known."""
        self._fresh_each = True

    def inflate(self, payload: bytes) -> bytes | None:
        if self._fresh_each or self._codec.eof:
            self._codec = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            text = self._codec.decompress(payload + _DEFLATE_END, self._longest)
        except zlib.error:
            self._fresh_each = True
            return None
        if self._codec.unconsumed_tail:
            self._fresh_each = True
            return None
        return text
