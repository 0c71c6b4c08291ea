"""A streamed answer put together into the pieces a reader sees.

Owns joining the deltas of the chat, messages and content streams. What it does not know it leaves
out: the raw body is beside it. Never raises. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from dashboard.messages import Piece, answered
from proxy.wire.sse import EventSplitter

_Open = dict[Any, dict[str, str]]


def pieces(body: bytes) -> list[Piece]:
    """What the stream says; nothing where it is none that is known here."""
    parts: _Open = {}
    for event in _documents(body):
        if event.get("type") == "response.completed":
            return answered(event.get("response"))
        _add(parts, event)
    return [_piece(part) for part in parts.values() if part["text"] or part["name"]]


def _documents(body: bytes) -> Iterator[dict[str, Any]]:
    splitter = EventSplitter()
    for event in [*splitter.feed(body), *splitter.flush()]:
        try:
            document = json.loads(event.data)
        except (ValueError, RecursionError):
            continue
        if isinstance(document, dict):
            yield document


def _add(parts: _Open, event: dict[str, Any]) -> None:
    if "choices" in event:
        _add_choice(parts, event["choices"])
    elif "candidates" in event:
        _add_candidate(parts, event["candidates"])
    elif "event_type" in event:
        _add_step(parts, event)
    elif event.get("type") == "content_block_start" and isinstance(
        block := event.get("content_block"), dict
    ):
        kind = "tool call" if block.get("type") == "tool_use" else str(block.get("type"))
        parts[event.get("index")] = _part(kind, block.get("name"), block.get("text") or "")
    elif event.get("type") == "content_block_delta" and isinstance(
        delta := event.get("delta"), dict
    ):
        part = parts.setdefault(event.get("index"), _part("text"))
        for name in ("text", "thinking", "partial_json"):
            part["text"] += _text(delta.get(name))


def _add_step(parts: _Open, event: dict[str, Any]) -> None:
    """A step of an interaction, as it begins or goes on; before there were steps, contents."""
    for name in ("step", "content", "delta"):
        if not isinstance(piece := event.get(name), dict):
            continue
        kind = _text(piece.get("type"))
        kind = "tool call" if kind == "function_call" else "thinking" if "thought" in kind else kind
        part = parts.setdefault(event.get("index"), _part(kind))
        part["name"] = part["name"] or _text(piece.get("name"))
        summary = piece.get("content")
        part["text"] += _text(piece.get("text")) + _text(piece.get("arguments"))
        part["text"] += _text(summary.get("text")) if isinstance(summary, dict) else ""


def _add_choice(parts: _Open, choices: Any) -> None:
    first = choices[0] if isinstance(choices, list) and choices else None
    delta = first.get("delta") if isinstance(first, dict) else None
    if not isinstance(delta, dict):
        return
    for name, kind in (("reasoning_content", "thinking"), ("content", "text")):
        if text := _text(delta.get(name)):
            parts.setdefault(name, _part(kind))["text"] += text
    calls = delta.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            part = parts.setdefault(("call", call.get("index")), _part("tool call"))
            part["name"] = part["name"] or _text(function.get("name"))
            part["text"] += _text(function.get("arguments"))


def _add_candidate(parts: _Open, candidates: Any) -> None:
    for piece in answered({"candidates": candidates}):
        key = len(parts) if piece.kind == "tool call" else piece.kind
        part = parts.setdefault(key, _part(piece.kind, piece.name))
        part["text"] += piece.text


def _part(kind: str, name: Any = None, text: str = "") -> dict[str, str]:
    return {"kind": kind, "name": _text(name), "text": _text(text)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _piece(part: dict[str, str]) -> Piece:
    text, name = part["text"], part["name"] or None
    if part["kind"] == "tool call":
        return Piece(role="assistant", kind="tool call", text=text, name=name)
    if part["kind"] == "thinking":
        return Piece(role="assistant", kind="reasoning", text=text)
    return Piece(role="assistant", kind="text", text=text)
