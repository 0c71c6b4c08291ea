"""A conversation as a reader sees it: who said what, text apart from tools and media.

Owns taking the contents of messages apart, in whatever wire format they came. Never raises: what
it does not know it shows as JSON. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from analytics.exports.conversation import Asked

Kind = Literal["text", "tool call", "tool result", "reasoning", "other"]
_MOST = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Something said by one role; `name` of the tool where it is one."""

    role: str
    kind: Kind
    text: str
    name: str | None = None


def pieces(asked: Asked) -> list[Piece]:
    """All that was asked, in order; the first and last of very long conversations."""
    messages = asked.messages or []
    return [piece for message in messages[-_MOST:] for piece in _message(message)]


def answered(document: Any) -> list[Piece]:
    """What a whole answer says, in the formats whose answers are messages; else nothing."""
    if not isinstance(document, dict):
        return []
    for choice in _list(document.get("choices")):
        if isinstance(choice, dict) and isinstance(choice.get("message"), dict):
            return list(_message({"role": "assistant", **choice["message"]}))
    for candidate in _list(document.get("candidates")):
        if isinstance(candidate, dict) and isinstance(content := candidate.get("content"), dict):
            return list(_content("assistant", content.get("parts"), None))
    if document.get("type") == "message":
        return list(_content("assistant", document.get("content"), None))
    items = document.get("output") or document.get("steps") or document.get("outputs")
    outputs = [each for each in _list(items) if isinstance(each, dict)]
    return [piece for each in outputs for piece in _message({"role": "assistant", **each})]


def _message(message: dict[str, Any]) -> Iterator[Piece]:
    role = str(message.get("role") or message.get("type") or "user")
    if "content" in message:
        yield from _content(role, message["content"], message.get("name"))
    else:
        yield from _content(role, [message], None)
    for call in _list(message.get("tool_calls")):
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            yield _call(role, function.get("name"), function.get("arguments"))


def _content(role: str, content: Any, name: Any) -> Iterator[Piece]:
    if content is None:
        return
    if isinstance(content, str):
        kind: Kind = "tool result" if role in ("tool", "function") else "text"
        yield Piece(role=role, kind=kind, text=content, name=_name(name))
    elif isinstance(content, list):
        for part in content:
            yield _part(role, part)
    else:
        yield _other(role, content)


def _part(role: str, part: Any) -> Piece:
    if isinstance(part, str):
        return Piece(role=role, kind="text", text=part)
    if not isinstance(part, dict):
        return _other(role, part)
    kind = part.get("type")
    if isinstance(part.get("text"), str):
        return Piece(role=role, kind="text", text=part["text"])
    if kind == "thought":
        return Piece(role=role, kind="reasoning", text=_words(part.get("summary")))
    if isinstance(part.get("thinking"), str):
        return Piece(role=role, kind="reasoning", text=part["thinking"])
    for member, arguments in (("tool_use", "input"), ("function_call", "arguments")):
        if kind == member:
            return _call(role, part.get("name"), part.get(arguments))
    for member, arguments in (("functionCall", "args"), ("toolUse", "input")):
        if isinstance(inner := part.get(member), dict):
            return _call(role, inner.get("name"), inner.get(arguments))
    for member, value in (
        ("tool_result", "content"),
        ("function_call_output", "output"),
        ("function_result", "result"),
    ):
        if kind == member:
            return _result(role, part.get(value), part.get("name"))
    for member in ("functionResponse", "toolResult"):
        if isinstance(inner := part.get(member), dict):
            return _result(role, inner.get("response", inner.get("content")), inner.get("name"))
    return _other(role, part)


def _call(role: str, name: Any, arguments: Any) -> Piece:
    return Piece(role=role, kind="tool call", text=_json(arguments), name=_name(name))


def _result(role: str, value: Any, name: Any) -> Piece:
    if isinstance(value, list) and all(isinstance(e, dict) and "text" in e for e in value):
        value = _words(value)
    return Piece(role=role, kind="tool result", text=_json(value), name=_name(name))


def _words(value: Any) -> str:
    return "\n".join(str(e["text"]) for e in _list(value) if isinstance(e, dict) and "text" in e)


def _other(role: str, value: Any) -> Piece:
    return Piece(role=role, kind="other", text=_json(value))


def _json(value: Any) -> str:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return str(value)
    try:
        return json.dumps(value, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError, TypeError):
        return str(value)


def _name(value: Any) -> str | None:
    return str(value) if value else None


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
