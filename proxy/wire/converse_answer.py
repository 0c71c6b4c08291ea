"""An answer in Bedrock's Converse form, from its document or its events, however framed.

Owns what each event adds. Amazon's own models speak the same form when they are invoked directly.
Refuses to know framings, gaps and statuses; the dialects that speak this form do.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from proxy.facts import Usage
from proxy.wire.bedrock_usage import converse_usage, guardrail_units
from proxy.wire.words import plain, word

_PROVIDER_RUNS = "server_tool_use"


class ConverseAnswer:
    """What has been read so far: `take_document` for a whole answer, `take_event` for a stream."""

    def __init__(self) -> None:
        self.complete = False
        self.gapped = False
        """Set by the caller where events are missing: calls may have been in them."""
        self.stop_reason: str | None = None
        self._metadata: dict[str, Any] = {}
        self._blocks: list[dict[str, Any]] = []

    @property
    def model(self) -> str | None:
        """The model that a prompt router chose; otherwise the answer names none."""
        trace = _object(self._metadata.get("trace"))
        return word(_object(trace.get("promptRouter")).get("invokedModelId"))

    @property
    def service_tier(self) -> str | None:
        return word(_object(self._metadata.get("serviceTier")).get("type"))

    @property
    def finish_reasons(self) -> tuple[str, ...] | None:
        return (self.stop_reason,) if self.stop_reason else None

    @property
    def tool_names(self) -> tuple[str, ...] | None:
        """The tools that the client has to run; None where more may have been called."""
        calls = (_object(block.get("toolUse")) for block in self._blocks)
        called = tuple(
            word(call.get("name")) or ""
            for call in calls
            if call and call.get("type") != _PROVIDER_RUNS
        )
        return called if called or self._all_calls_seen else None

    @property
    def tool_call_count(self) -> int | None:
        return len(self.tool_names or ()) if self._all_calls_seen else None

    @property
    def usage(self) -> Usage | None:
        usage = converse_usage(self._metadata.get("usage"))
        trace = _object(self._metadata.get("trace"))
        units = guardrail_units(trace.get("guardrail")) if usage else 0
        return replace(usage, units={"guardrail_units": units}) if usage and units else usage

    @property
    def _all_calls_seen(self) -> bool:
        return self.complete and not self.gapped

    def take_document(self, document: dict[str, Any]) -> None:
        self._metadata = document
        self.stop_reason = word(document.get("stopReason"))
        content = _object(_object(document.get("output")).get("message")).get("content")
        if isinstance(content, list):
            self._blocks = [block for block in content if isinstance(block, dict)]
            self.complete = True

    def take_event(self, name: str | None, event: Any) -> None:
        event = _object(event)
        match name:
            case "contentBlockStart":
                self._blocks.append(_object(event.get("start")))
            case "messageStop":
                self.stop_reason = word(event.get("stopReason"))
                self.complete = True
            case "metadata":
                self._metadata |= event

    def text(self) -> str:
        """The text of the blocks as they began; what deltas added is `delta_text`'s work."""
        return "\n".join(filter(None, map(_block_text, self._blocks)))


def delta_text(event: Any) -> str:
    """The text that a `contentBlockDelta` adds."""
    delta = _object(_object(event).get("delta"))
    thought = _object(delta.get("reasoningContent")).get("text")
    pieces = (delta.get("text"), thought, _object(delta.get("toolUse")).get("input"))
    return "".join(piece for piece in pieces if isinstance(piece, str))


def _block_text(block: dict[str, Any]) -> str:
    call, thought = _object(block.get("toolUse")), _object(block.get("reasoningContent"))
    found = [plain(block.get("text")), plain(_object(thought.get("reasoningText")).get("text"))]
    if call:
        found.append(word(call.get("name")) or "")
        if call.get("input"):
            found.append(json.dumps(call["input"], ensure_ascii=False))
    found.append(plain(_object(block.get("citationsContent")).get("content")))
    return "\n".join(filter(None, found))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
