"""The model in a request: put in place of the one that stands there, all other bytes kept.

Owns where a request names its model: the top-level member of a JSON body, or a step of the path.
Sans-io. Refuses to touch a body that it cannot read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

import orjson

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]', re.DOTALL)
_IN_PATH = re.compile(r"(/(?:models|deployments|model|engines)/)([^/:?]+)")


def with_model(target: str, body: bytes, model: str) -> tuple[str, bytes] | None:
    """Target and body with this model; None where the request names none."""
    spans = list(_spans(body))
    if spans:
        return target, _replaced(body, spans, orjson.dumps(model))
    path, mark, query = target.partition("?")
    changed, count = _IN_PATH.subn(lambda found: found[1] + quote(model, safe=""), path, count=1)
    return (changed + mark + query, body) if count else None


def _replaced(body: bytes, spans: list[tuple[int, int]], value: bytes) -> bytes:
    for start, end in reversed(spans):
        body = body[:start] + value + body[end:]
    return body


def _spans(body: bytes) -> Iterator[tuple[int, int]]:
    """Where the values of the top-level member `model` stand; repeated ones count, too."""
    depth, key, expects = 0, False, False
    for found in _TOKEN.finditer(body):
        token = found[0]
        if token in (b"{", b"["):
            depth += 1
        elif token in (b"}", b"]"):
            depth -= 1
        elif depth == 1 and expects and token[:1] == b'"':
            yield found.span()
        expects = depth == 1 and key and token == b":"
        key = depth == 1 and token == b'"model"'
