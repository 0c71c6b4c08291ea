"""Embeddings, in OpenAI's form and in Gemini's.

Owns the vectors: the same for the same text, alike for texts with words in common. Refuses to know
what words mean.
"""

from __future__ import annotations

import re
import sys
from array import array
from base64 import b64encode
from collections import Counter
from functools import lru_cache
from hashlib import shake_128
from math import sqrt
from typing import Any

import orjson

from sample_data.demo.answers import Answer, Json, Question, Refusal
from sample_data.demo.models import embedding_size
from sample_data.demo.openai_errors import headers
from sample_data.demo.reading import either, limit, mapping, objects, text_of
from sample_data.demo.speech import count_tokens

_LEAD_SECONDS = 0.12
_MAX_SIZE = 4096
_WORD = re.compile(r"\w+")
_WORD_WEIGHT = 2.0
_RUN = 3
_NUMBERS = 4
"""For each word and run of letters."""
_SIZE_NAMES = ("outputDimensionality", "output_dimensionality")


def openai(question: Question) -> Answer:
    body = question.body
    inputs = _inputs(body.get("input"))
    size = _size(limit(body, "dimensions"), question.model)
    as_base64 = body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _encode(text, size, as_base64)}
        for index, (text, _) in enumerate(inputs)
    ]
    tokens = sum(count for _, count in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens} if question.with_usage else None
    reply: Json = {"object": "list", "data": data, "model": question.model}
    if usage:
        reply["usage"] = usage
    return Answer(
        headers=headers(question.number, _LEAD_SECONDS),
        body=orjson.dumps(reply),
        usage=usage,
        lead_seconds=_LEAD_SECONDS,
    )


def gemini_vectors(question: Question, requests: list[Json]) -> tuple[list[Json], int]:
    """The `values` objects of each request, and the tokens read."""
    texts = [text_of(mapping(request.get("content")).get("parts")) for request in requests]
    vectors = []
    for request, text in zip(requests, texts, strict=True):
        config = mapping(either(request, "embedContentConfig"))
        asked = limit(request, *_SIZE_NAMES) or limit(config, *_SIZE_NAMES)
        vectors.append({"values": list(_vector(text, _size(asked, question.model)))})
    return vectors, sum(count_tokens(text) for text in texts)


def _size(asked: int | None, model: str) -> int:
    if asked is not None and asked > _MAX_SIZE:
        raise Refusal(400, f"'dimensions' has to be {_MAX_SIZE} at most.", param="dimensions")
    return asked or embedding_size(model)


def _inputs(value: Any) -> list[tuple[str, int]]:
    """Texts with their token counts: a text, texts, token ids, or lists of those."""
    if isinstance(value, str) and value:
        return [(value, count_tokens(value))]
    if isinstance(value, list) and value:
        if all(isinstance(item, int) for item in value):
            return [(str(value), len(value))]
        if all(isinstance(item, (str, list)) and item for item in value):
            return [
                (str(item), count_tokens(item) if isinstance(item, str) else len(item))
                for item in value
            ]
    raise Refusal(400, "'input' has to be text or tokens, and not empty.", param="input")


def _encode(text: str, size: int, as_base64: bool) -> str | list[float]:
    vector = _vector(text, size)
    if not as_base64:
        return vector.tolist()
    if sys.byteorder == "big":
        vector.byteswap()
    return b64encode(vector.tobytes()).decode()


def _vector(text: str, size: int) -> array[float]:
    """A vector of length one: each word, and each run of letters in one, adds a few numbers that
    its hash draws. Texts with most words in common point nearly the same way."""
    sums = [0.0] * size
    for word, count in Counter(_WORD.findall(text.casefold()) or [text]).items():
        marked = f"^{word}$"
        _add(sums, word, _WORD_WEIGHT * count)
        for start in range(len(marked) - _RUN + 1):
            _add(sums, marked[start : start + _RUN], count)
    length = sqrt(sum(number * number for number in sums)) or 1.0
    return array("f", [number / length for number in sums])


def _add(sums: list[float], feature: str, weight: float) -> None:
    drawn = _drawn(feature)
    for start in range(0, len(drawn), 3):
        place = int.from_bytes(drawn[start : start + 2]) % len(sums)
        sums[place] += weight if drawn[start + 2] & 1 else -weight


@lru_cache(maxsize=1 << 14)
def _drawn(feature: str) -> bytes:
    return shake_128(feature.encode("utf-8", "surrogatepass")).digest(3 * _NUMBERS)


def gemini_requests(body: Json) -> list[Json]:
    """The requests of a batch, which has to have one."""
    requests = objects(body.get("requests"))
    if not requests:
        raise Refusal(400, "* BatchEmbedContentsRequest.requests: must not be empty")
    return requests
