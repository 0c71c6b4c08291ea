"""Usage of streams, where clients do not ask for it.

OpenAI's chat completions, and those who speak like it, tell a stream's usage only where the
request says `stream_options.include_usage`; then each chunk bears `usage`, null but for an extra
last one without choices (OpenAI API reference, "Create chat completion", stream_options). Owns
asking, and hiding from the client what it did not ask for. Sans-io.
"""

from __future__ import annotations

import re

import orjson

_PATHS = ("/chat/completions", "/completions")
_ASKED = b'{"stream_options":{"include_usage":true},'
_BLANK_LINE = re.compile(rb"(\r?\n\r?\n)")
_NULL_USAGE = re.compile(rb',\s*"usage"\s*:\s*null(?=\s*[,}])')
_EXTRA_CHUNK = re.compile(rb'"choices"\s*:\s*\[\s*\]')
_USAGE_OBJECT = re.compile(rb'"usage"\s*:\s*\{')


def ask(target: str, body: bytes) -> bytes | None:
    """The request's body with the question, None where it needs or bears none."""
    if not target.partition("?")[0].endswith(_PATHS):
        return None
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, dict) or document.get("stream") is not True:
        return None
    options = document.get("stream_options")
    if options is None and "stream_options" not in document:
        return _ASKED + body.lstrip()[1:]  # all other bytes as they came
    if options is not None and (not isinstance(options, dict) or "include_usage" in options):
        return None
    return orjson.dumps({**document, "stream_options": {**(options or {}), "include_usage": True}})


class UsageFilter:
    """Takes the provider's stream and gives the client's: `feed` returns whole events only."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        pieces = _BLANK_LINE.split(self._rest + data)
        self._rest = pieces.pop()
        shown: list[bytes] = []
        for event, blank_line in zip(pieces[::2], pieces[1::2], strict=True):
            if (kept := _without_usage(event)) is not None:
                shown += (kept, blank_line)
        return b"".join(shown)

    def finish(self) -> bytes:
        """What is left of an event that lacks its end."""
        rest, self._rest = self._rest, b""
        return _without_usage(rest) or b""


def _without_usage(event: bytes) -> bytes | None:
    """The event as a client sees it that did not ask, None where it is only an answer to it."""
    if b'"usage"' not in event:
        return event
    if _EXTRA_CHUNK.search(event) and _USAGE_OBJECT.search(event):
        return None
    return _NULL_USAGE.sub(b"", event)
