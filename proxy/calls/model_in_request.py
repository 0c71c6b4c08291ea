"""The model in a request: put in place of the one that stands there, all other bytes kept.

Owns where a request names its model: the top-level member of a JSON body, a step of the path, or
both. Sans-io; linear in the body. Refuses to touch a body that it cannot read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

import orjson

_MEMBER = b'"model"'
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[{}\[\]:]', re.DOTALL)
"""A string without its end goes on to the end of the body: nothing is looked at twice."""
_IN_PATH = re.compile(
    r"(?<=/model/)[^/?]+|(?<=/models/)[^/:?]+|(?<=/deployments/)[^/:?]+|(?<=/engines/)[^/:?]+"
)
_PREFIX = b'"models/'
"""Gemini's bodies name a model with it."""


def with_model(target: str, body: bytes, model: str) -> tuple[str, bytes] | None:
    """Target and body with this model; None where the request names none."""
    spans = list(_spans(body))
    path, mark, query = target.partition("?")
    found = _IN_PATH.search(path)
    if found is not None and not (spans and _is_folder(path, found)):
        path = path[: found.start()] + quote(model, safe="") + path[found.end() :]
    elif not spans:
        return None
    return path + mark + query, _replaced(body, spans, model)


def _is_folder(path: str, found: re.Match[str]) -> bool:
    """Whether `/models/x` goes on with a name or an end of its own, and not with what to do."""
    return path[: found.start()].endswith("/models/") and path[found.end() :][:1] != ":"


def _replaced(body: bytes, spans: list[tuple[int, int]], model: str) -> bytes:
    for start, end in reversed(spans):
        prefix = "models/" if body.startswith(_PREFIX, start) else ""
        body = body[:start] + orjson.dumps(prefix + model.removeprefix(prefix)) + body[end:]
    return body


def _is_string(token: bytes) -> bool:
    return len(token) > 1 and token.startswith(b'"') and token.endswith(b'"')


def _spans(body: bytes) -> Iterator[tuple[int, int]]:
    """Where the values of the top-level member `model` stand; repeated ones count, too."""
    last = body.rfind(_MEMBER)
    if last < 0:
        return
    depth, key, expects = 0, False, False
    for found in _TOKEN.finditer(body):
        token = found[0]
        if found.start() > last and not (key or expects):
            return
        if token in (b"{", b"["):
            depth += 1
        elif token in (b"}", b"]"):
            depth -= 1
        elif depth == 1 and expects and _is_string(token):
            yield found.span()
        expects = depth == 1 and key and token == b":"
        key = depth == 1 and token == _MEMBER
