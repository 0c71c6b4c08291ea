"""Captured bodies as people read them.

Owns undoing content codings, telling JSON from other text and putting a streamed answer together
(with the dialect that reads it). Refuses to print: what comes from here is not safe for a
terminal yet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from proxy.facts import RequestHead
from proxy.reading import Copied, read
from proxy.wire import coding

_LARGEST_JSON_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """One captured body without content coding; `gap` as in the table contents."""

    headers: list[tuple[str, str]]
    data: bytes
    gap: int | None = None
    error: str | None = None

    def document(self) -> Any | None:
        """The value where the body is JSON, whole and of one piece; else None."""
        if self.gap is not None or len(self.data) > _LARGEST_JSON_BYTES:
            return None
        try:
            return json.loads(self.data)
        except (ValueError, RecursionError):
            return None

    def text(self) -> str:
        """The body as text; bytes that are none as escapes."""
        return self.data.decode("utf-8", "backslashreplace")

    def pretty(self) -> str:
        """JSON indented, everything else as it is."""
        document = self.document()
        if document is None:
            return self.text()
        try:
            return json.dumps(document, indent=2, ensure_ascii=False)
        except (ValueError, RecursionError):
            return self.text()


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What was said in an exchange; `answer_text` as its dialect reads it, None where none does."""

    target: str | None
    request: Body
    response: Body
    answer_text: str | None


def said(exchange: Mapping[str, Any], content: Mapping[str, Any] | None) -> Said | None:
    """The bodies of an exchange, from its rows in exchanges and contents."""
    if content is None:
        return None
    return Said(
        target=content["target"],
        request=_body(content, "request"),
        response=_body(content, "response"),
        answer_text=_answer_text(exchange, content),
    )


def _body(content: Mapping[str, Any], side: str) -> Body:
    headers = _headers(content[f"{side}_headers"])
    data, gap = bytes(content[f"{side}_body"] or b""), content[f"{side}_gap"]
    codings = ", ".join(value for name, value in headers if name == "content-encoding")
    if not codings or codings.strip().lower() == "identity":
        return Body(headers=headers, data=data, gap=gap)
    decoded = coding.decode(data if gap is None else data[:gap], codings)
    gap = None if gap is None else len(decoded.data)
    if not decoded.data and decoded.error is not None:
        return Body(headers=headers, data=data, gap=gap, error=decoded.error)
    return Body(headers=headers, data=decoded.data, gap=gap, error=decoded.error)


def _headers(text: str | None) -> list[tuple[str, str]]:
    return [] if text is None else [(str(name), str(value)) for name, value in orjson.loads(text)]


def _answer_text(exchange: Mapping[str, Any], content: Mapping[str, Any]) -> str | None:
    """The answer's text, or None: whatever a reader does not like is no reason to show nothing."""
    if not content["target"] or exchange["status"] is None:
        return None
    head = RequestHead(
        provider=exchange["provider"] or "",
        method=exchange["method"] or "POST",
        target=content["target"],
        headers=dict(_headers(content["request_headers"])),
    )
    reading = read(
        head,
        Copied(bytes(content["request_body"] or b""), content["request_gap"]),
        exchange["status"],
        dict(_headers(content["response_headers"])),
        Copied(bytes(content["response_body"] or b""), content["response_gap"]),
    )
    if reading.reply is None or reading.reply.text is None:
        return None
    return reading.reply.text() or None
