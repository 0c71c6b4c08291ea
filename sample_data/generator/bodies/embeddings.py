"""Embeddings as OpenAI speaks them: short vectors, in base64.

Owns the wire format of request and answer; errors are those of the chat.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from random import Random
from typing import Any

import orjson

from sample_data.generator.bodies.openai import FINISH, error
from sample_data.generator.planned import Ask, Planned

__all__ = ["FINISH", "error", "request", "response"]

_DIMENSIONS = 64
_DISTINCT = 256


def request(ask: Ask) -> bytes:
    return orjson.dumps(
        {
            "model": ask.model.name,
            "input": [message.text for message in ask.messages],
            "dimensions": _DIMENSIONS,
            "encoding_format": "base64",
        }
    )


def response(planned: Planned) -> tuple[bytes, dict[str, Any] | None]:
    tokens = planned.counted.input
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    start = planned.started_at
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _vectors()[(start + index) % _DISTINCT],
        }
        for index in range(len(planned.ask.messages))
    ]
    name = planned.ask.model.full_name
    body = {"object": "list", "data": data, "model": name, "usage": usage}
    return orjson.dumps(body), usage


@cache
def _vectors() -> tuple[str, ...]:
    chance = Random("vectors")
    return tuple(b64encode(chance.randbytes(4 * _DIMENSIONS)).decode() for _ in range(_DISTINCT))
