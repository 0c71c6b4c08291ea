"""Content codings of copies: gzip, deflate, br and zstd, also stacked (RFC 9110, section 8.4.1).

Owns incremental decoding within bounds: a body that grows past its limits is cut there, one that
is itself cut gives what could be decoded. Refuses to raise, and to touch the traffic: only copies
are decoded.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import brotli  # type: ignore[import-untyped]
import zstandard

MAX_BYTES = 64 << 20
MAX_RATIO = 300
FREE_BYTES = 4 << 20
"""Up to here no ratio is suspect: small bodies of repeated words compress well."""
_MAX_STACKED = 3
_MAX_ZSTD_WINDOW = 1 << 27
_PIECE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Decoded:
    """What could be decoded. `whole`: all of it; `error`: why not, None where it was only cut."""

    data: bytes
    whole: bool
    error: str | None


def decode(
    data: bytes, codings: str, *, max_bytes: int = MAX_BYTES, max_ratio: int = MAX_RATIO
) -> Decoded:
    """A whole body, decoded; `codings` as in Content-Encoding. Empty for an unknown coding."""
    decoder = Decoder(codings, max_bytes=max_bytes, max_ratio=max_ratio)
    plain = decoder.feed(data)
    return Decoded(plain, decoder.whole, decoder.error)


class Decoder:
    """Decodes a body that comes in pieces of any size. `feed` returns what they give."""

    def __init__(
        self, codings: str, *, max_bytes: int = MAX_BYTES, max_ratio: int = MAX_RATIO
    ) -> None:
        self.error: str | None = None
        self._max_bytes = max_bytes
        self._max_ratio = max_ratio
        self._taken = self._given = 0
        self._stages: list[_Stage] = []
        names = [name for part in codings.split(",") if (name := part.strip().lower())]
        wanted = [name for name in reversed(names) if name != "identity"]
        if len(wanted) > _MAX_STACKED:
            self.error = f"more than {_MAX_STACKED} content codings"
        elif unknown := [name for name in wanted if name not in _STAGES]:
            self.error = f"unknown content coding {unknown[0][:40]!r}"
        else:
            self._stages = [_STAGES[name]() for name in wanted]

    @property
    def whole(self) -> bool:
        """Nothing is missing at the end."""
        if self.error is not None:
            return False
        return self._taken == 0 or all(stage.ended for stage in self._stages)

    def feed(self, data: bytes) -> bytes:
        if self.error is not None or not data:
            return b""
        if not self._stages:
            return self._within(data, data)
        given = [
            self._decode(data[at : at + _PIECE_BYTES]) for at in range(0, len(data), _PIECE_BYTES)
        ]
        return b"".join(given)

    def _decode(self, piece: bytes) -> bytes:
        if self.error is not None:
            return b""
        plain = piece
        for stage in self._stages:
            room = self._max_bytes - self._given + 1
            try:
                plain, left = stage.decode(plain, room)
            except Exception as fault:  # whatever a codec says of bytes that it cannot read
                self.error = f"cannot be decoded: {str(fault)[:120] or type(fault).__name__}"
                plain, left = stage.given(), False
            if left:
                self.error = f"longer than {self._max_bytes} bytes when decoded"
        return self._within(piece, plain)

    def _within(self, taken: bytes, given: bytes) -> bytes:
        self._taken += len(taken)
        room = self._max_bytes - self._given
        if len(given) > room:
            given = given[:room]
            self.error = f"longer than {self._max_bytes} bytes when decoded"
        self._given += len(given)
        if self._given > FREE_BYTES and self._given > self._max_ratio * self._taken:
            self.error = f"decodes to more than {self._max_ratio} times its size"
        return given


class _Stage(Protocol):
    @property
    def ended(self) -> bool: ...

    def decode(self, data: bytes, room: int) -> tuple[bytes, bool]:
        """At most about `room` bytes, and whether more would have come. Raises on bad input."""

    def given(self) -> bytes:
        """What had been decoded when `decode` raised."""


class _Zlib:
    """gzip (also of several members) and deflate (which some send without zlib's header)."""

    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits
        self._codec = zlib.decompressobj(window_bits)
        self._started = False
        self._given: list[bytes] = []

    @property
    def ended(self) -> bool:
        return self._codec.eof

    def given(self) -> bytes:
        return b"".join(self._given)

    def decode(self, data: bytes, room: int) -> tuple[bytes, bool]:
        self._given = []
        total = 0
        while data and total < room:
            if self._codec.eof:
                if self._window_bits != 31 or not data.strip(b"\0"):
                    break  # what follows the end is padding
                self._codec = zlib.decompressobj(self._window_bits)
            plain = self._some(data, room - total)
            total += len(plain)
            self._given.append(plain)
            data = self._codec.unused_data if self._codec.eof else self._codec.unconsumed_tail
        return self.given(), bool(data) and total >= room

    def _some(self, data: bytes, room: int) -> bytes:
        try:
            plain = self._codec.decompress(data, room)
        except zlib.error:
            if self._started or self._window_bits != 15:
                raise
            self._codec = zlib.decompressobj(-15)
            plain = self._codec.decompress(data, room)
        self._started = True
        return plain


class _Brotli:
    def __init__(self) -> None:
        self._codec = brotli.Decompressor()
        self._given: list[bytes] = []

    @property
    def ended(self) -> bool:
        return bool(self._codec.is_finished())

    def given(self) -> bytes:
        return b"".join(self._given)

    def decode(self, data: bytes, room: int) -> tuple[bytes, bool]:
        self._given = []
        total = 0
        while not self._codec.is_finished():
            plain = self._codec.process(data, output_buffer_limit=room - total)
            total += len(plain)
            self._given.append(plain)
            data = b""
            if self._codec.can_accept_more_data() or total >= room:
                break
        held = not self._codec.can_accept_more_data() and not self._codec.is_finished()
        return self.given(), held and total >= room


class _Zstandard:
    """Four bytes of zstd can give 128 KiB, and the codec gives all at once: feed it slowly."""

    _GROWTH = 1 << 15

    def __init__(self) -> None:
        whole = zstandard.ZstdDecompressor(max_window_size=_MAX_ZSTD_WINDOW)
        self._new: Callable[[], zstandard.ZstdDecompressionObj] = whole.decompressobj
        self._codec = self._new()
        self._given: list[bytes] = []

    @property
    def ended(self) -> bool:
        return self._codec.eof

    def given(self) -> bytes:
        return b"".join(self._given)

    def decode(self, data: bytes, room: int) -> tuple[bytes, bool]:
        self._given = []
        total = 0
        while data and total < room:
            if self._codec.eof:
                self._codec = self._new()
            step = min(max((room - total) // self._GROWTH, 16), 1 << 14)
            plain = self._codec.decompress(data[:step])
            total += len(plain)
            self._given.append(plain)
            data = self._codec.unused_data + data[step:]
        return self.given(), bool(data)


_STAGES: dict[str, Callable[[], _Stage]] = {
    "gzip": lambda: _Zlib(31),
    "x-gzip": lambda: _Zlib(31),
    "deflate": lambda: _Zlib(15),
    "br": _Brotli,
    "zstd": _Zstandard,
}
