"""The chunks of a streamed Bedrock invocation, each a JSON text in the model's own form.

Owns unpacking them from the messages of the event stream, and what the messages themselves say:
errors. Refuses to interpret the chunks.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from proxy.wire.aws_errors import error_message
from proxy.wire.decode import loads
from proxy.wire.event_stream import MessageSplitter

_BYTES = b'"bytes":"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunks:
    """What a stream held: its chunks, as lists between which some are missing."""

    stretches: list[list[bytes]] = field(default_factory=list)
    error: dict[str, Any] | None = None
    parse_error: str | None = None

    @property
    def all(self) -> list[bytes]:
        if len(self.stretches) == 1:
            return self.stretches[0]
        return [chunk for stretch in self.stretches for chunk in stretch]


def read_chunks(segments: Iterable[bytes]) -> Chunks:
    """The chunks in the segments of a copy."""
    splitter, error, unreadable = MessageSplitter(), None, 0
    stretches: list[list[bytes]] = []
    for number, segment in enumerate(segments):
        if number:
            splitter.gap()
        stretches.append([])
        for message in splitter.feed(segment):
            if message.event != "chunk":
                error = error_message(message) or error
                continue
            if (chunk := _unpacked(message.payload)) is None:
                unreadable += 1
            else:
                stretches[-1].append(chunk)
    parse_error = f"answer: {unreadable} chunks cannot be read" if unreadable else None
    if splitter.skipped_bytes:
        parse_error = f"answer: {splitter.skipped_bytes} bytes are no messages"
    return Chunks(stretches=stretches, error=error, parse_error=parse_error)


def _unpacked(payload: bytes) -> bytes | None:
    packed, quote, _ = payload.partition(_BYTES)[2].partition(b'"')
    try:
        if quote:
            return a2b_base64(packed)
        return a2b_base64(loads(payload)["bytes"])
    except (ValueError, TypeError, KeyError):
        return None
