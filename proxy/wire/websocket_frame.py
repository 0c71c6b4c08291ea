"""One frame of a WebSocket (RFC 6455, section 5.2).

Owns heads, masks, and the marks that a shortened copy bears in place of frames that it lacks: of
an opcode that no peer may send. Refuses to know messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

CONTINUATION, TEXT, CLOSE = 0, 1, 8
_BINARY, _MARK = 2, 11
_LEFT_OUT = b"left out"
_CONTROL_BIT = 0x08
_LONGEST_CONTROL = 125
_WIDE = {126: 2, 127: 8}


class Frame(NamedTuple):
    """Where a frame's payload is, and how it is to be read."""

    final: bool
    compressed: bool
    opcode: int
    mask: bytes
    start: int
    end: int

    @property
    def is_control(self) -> bool:
        return bool(self.opcode & _CONTROL_BIT)


def frame_at(data: bytes, at: int) -> Frame | None:
    """The frame at an offset; None where there is none. It may end behind the data."""
    first = data[at]
    opcode, control = first & 0x0F, bool(first & _CONTROL_BIT)
    known = CLOSE <= opcode <= _MARK if control else opcode <= _BINARY
    final, compressed = bool(first & 0x80), bool(first & 0x40)
    if not known or first & 0x30 or (compressed and (control or opcode == CONTINUATION)):
        return None
    if control and not final:
        return None
    head_end = at + head_bytes(data[at : at + 2])
    if at + 2 > len(data) or head_end > len(data):
        return Frame(final, compressed, opcode, b"", len(data), len(data) + 1)
    second = data[at + 1]
    length, wide = second & 0x7F, _WIDE.get(second & 0x7F, 0)
    if control and length > _LONGEST_CONTROL:
        return None
    if wide:
        length = int.from_bytes(data[at + 2 : at + 2 + wide])
        if length < (126 if wide == 2 else 1 << 16) or length >> 63:
            return None  # the shortest form is required
    mask = data[head_end - 4 : head_end] if second & 0x80 else b""
    return Frame(final, compressed, opcode, mask, head_end, head_end + length)


def head_bytes(beginning: Sequence[int]) -> int:
    """The length of the head that begins so; of less than two bytes it is not known yet."""
    if len(beginning) < 2:
        return 2
    second = beginning[1]
    return 2 + _WIDE.get(second & 0x7F, 0) + (4 if second & 0x80 else 0)


def frame_of(opcode: int, payload: bytes) -> bytes:
    """A whole message in one frame, without a mask."""
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 1 << 16:
        length = b"\x7e" + size.to_bytes(2)
    else:
        length = b"\x7f" + size.to_bytes(8)
    return bytes([0x80 | opcode]) + length + payload


def unmasked(payload: bytes, mask: bytes) -> bytes:
    if not mask or not payload:
        return payload
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(size)


def is_loss(frame: Frame, payload: bytes) -> bool:
    """Whether it is a mark of something that is missing."""
    return frame.opcode == _MARK and payload != _LEFT_OUT


LEFT_OUT = frame_of(_MARK, _LEFT_OUT)
"""From here on a copy has only the messages that tell more than sound and words."""
LOST = frame_of(_MARK, b"lost")
"""Here a message is missing that may have told more."""
