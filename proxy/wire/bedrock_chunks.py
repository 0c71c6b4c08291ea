"""The chunks of a streamed Bedrock invocation, each a JSON text in the model's own form.

Owns unpacking them from the messages of the event stream, and what the messages themselves say:
errors. Refuses to interpret the chunks, but for telling those that bring another word of Claude's.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from proxy.wire.aws_errors import error_message
from proxy.wire.decode import loads
from proxy.wire.event_stream import Message, MessageSplitter, payload_of

_BYTES = b'"bytes":"'
_FIRST = b"{" + _BYTES
_CLAUDE_TEXT = (b'{"type":"content_block_delta"', b'{"type": "content_block_delta"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunks:
    """What a stream held: its chunks, as lists between which some are missing, but for those that
    bring nothing but text of Claude's: they are the `texts`, still packed."""

    stretches: list[list[bytes]] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    error: dict[str, Any] | None = None
    parse_error: str | None = None

    @property
    def all(self) -> list[bytes]:
        if len(self.stretches) == 1:
            return self.stretches[0]
        return [chunk for stretch in self.stretches for chunk in stretch]


def read_chunks(segments: Iterable[bytes]) -> Chunks:
    """The chunks in the segments of a copy."""
    splitter, error, unreadable = MessageSplitter(_is_text), None, 0
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
    return Chunks(stretches=stretches, texts=splitter.texts, error=error, parse_error=parse_error)


def unpacked_text(message: bytes) -> bytes:
    """The chunk in one of the `texts`."""
    return _unpacked(payload_of(message)) or b""


def _is_text(message: Message) -> int | None:
    """Chunks that begin alike are packed alike: three bytes become four letters."""
    if message.event != "chunk" or not message.payload.startswith(_FIRST):
        return None
    chunk = _unpacked(message.payload) or b""
    known = next((text for text in _CLAUDE_TEXT if chunk.startswith(text)), None)
    return None if known is None else len(_FIRST) + len(known) // 3 * 4


def _unpacked(payload: bytes) -> bytes | None:
    packed, quote, _ = payload.partition(_BYTES)[2].partition(b'"')
    try:
        if quote:
            return a2b_base64(packed)
        return a2b_base64(loads(payload)["bytes"])
    except (ValueError, TypeError, KeyError):
        return None
