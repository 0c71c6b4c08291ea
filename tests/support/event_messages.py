"""Messages of AWS event streams, as Bedrock sends them."""

from __future__ import annotations

import base64
import json
from struct import pack
from typing import Any
from zlib import crc32


def message(headers: dict[str, str], payload: bytes, before: bytes = b"") -> bytes:
    """One message; `before` are encoded headers that stand before the others."""
    block = before
    for name, value in headers.items():
        block += bytes([len(name)]) + name.encode() + b"\x07"
        block += pack(">H", len(value)) + value.encode()
    prelude = pack(">II", 16 + len(block) + len(payload), len(block))
    content = prelude + pack(">I", crc32(prelude)) + block + payload
    return content + pack(">I", crc32(content))


def event(name: str, value: Any) -> bytes:
    payload = json.dumps(value, separators=(",", ":")).encode()
    return message({":event-type": name, ":message-type": "event"}, payload)


def events(*named: tuple[str, Any]) -> bytes:
    return b"".join(event(name, value) for name, value in named)


def chunks(*values: Any) -> bytes:
    """The chunks of a streamed invocation."""
    return b"".join(
        event("chunk", {"bytes": base64.b64encode(_json(value)).decode(), "p": "abc"})
        for value in values
    )


def exception(name: str, text: str) -> bytes:
    headers = {":exception-type": name, ":message-type": "exception"}
    return message(headers, _json({"message": text}))


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
