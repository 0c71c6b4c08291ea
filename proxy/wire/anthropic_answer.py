"""An answer of Anthropic's messages, from its events or its document, however they were framed.

Owns what each event adds: later counts replace earlier ones, field by field. Refuses to know
framings, gaps and statuses; the dialects that speak this format do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from proxy.facts import Usage
from proxy.wire.anthropic_usage import anthropic_usage
from proxy.wire.errors import error_in
from proxy.wire.prose import prose
from proxy.wire.words import word

_DELTA_KEYS = ("text", "partial_json", "thinking")
# Blocks for which the provider asks the model only once.
_ANSWERED_AT_ONCE = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})
_NO_TEXT = frozenset(
    {"type", "id", "tool_use_id", "signature", "data", "media_type", "url", "file_id", "source"}
    | {"encrypted_content", "encrypted_index", "cache_control", "role", "citations"}
)


class AnthropicAnswer:
    """What has been read so far: `take_document` for a whole answer, `take_event` for a stream."""

    def __init__(self) -> None:
        self.error: Any = None
        self.complete = False
        self.gapped = False
        """Set by the caller where events are missing: calls and searches may have been in them."""
        self._message: dict[str, Any] = {}
        self._blocks: list[dict[str, Any]] = []
        self._usage: dict[str, Any] = {}
        self._output_is_final = False

    @property
    def model(self) -> str | None:
        return word(self._message.get("model"))

    @property
    def response_id(self) -> str | None:
        return word(self._message.get("id"))

    @property
    def service_tier(self) -> str | None:
        return word(self._usage.get("service_tier"))

    @property
    def finish_reasons(self) -> tuple[str, ...] | None:
        reason = word(self._message.get("stop_reason"))
        return (reason,) if reason else None

    @property
    def tool_names(self) -> tuple[str, ...] | None:
        """The tools that the client has to run; None where more may have been called."""
        called = tuple(
            word(block.get("name")) or ""
            for block in self._blocks
            if block.get("type") == "tool_use"  # the provider's own tools have other types
        )
        return called if called or self._all_calls_seen else None

    @property
    def tool_call_count(self) -> int | None:
        return len(self.tool_names or ()) if self._all_calls_seen else None

    @property
    def usage(self) -> Usage | None:
        usage = anthropic_usage(self._usage, self.model)
        if not self._output_is_final:
            usage = self._started(usage)
        known = (usage.input_tokens, usage.output_tokens, usage.cost_usd)
        return usage if any(value is not None for value in known) else None

    def _started(self, usage: Usage) -> Usage:
        """What the opening of a stream says for certain.

        Its output is a start value. Its input is final, unless the provider runs tools whose
        results are input too, or does not know the input yet and writes 0.
        """
        grows = self.gapped or any(
            word(block.get("type")) not in _ANSWERED_AT_ONCE for block in self._blocks
        )
        if grows or not usage.input_tokens:
            return Usage()
        return replace(usage, output_tokens=None, reasoning_tokens=None, web_searches=None)

    @property
    def _all_calls_seen(self) -> bool:
        return self.complete and not self.gapped and self._message.get("type") != "completion"

    def text(self) -> str:
        """The text of the blocks as they began; what deltas added is `delta_text`'s work."""
        return prose(self._blocks, _NO_TEXT)

    def take_document(self, document: dict[str, Any]) -> None:
        self.error = error_in(document)
        self._take_message(document)
        self._output_is_final = True
        self.complete = isinstance(document.get("content"), list)

    def take_event(self, event: dict[str, Any]) -> None:
        match event.get("type"):
            case "message_start":
                self._take_message(_object(event.get("message")))
            case "content_block_start":
                self._blocks.append(_object(event.get("content_block")))
            case "message_delta":
                self._message |= _object(event.get("delta"))
                self._take_usage(event)
                self._output_is_final |= "output_tokens" in _object(event.get("usage"))
                self.complete |= self._message.get("stop_reason") is not None
            case "message_stop":
                self.complete = True
            case "completion":
                self._take_message(event)
            case _:
                self.error = error_in(event) or self.error

    def _take_message(self, message: dict[str, Any]) -> None:
        self._message |= message
        self._take_usage(message)
        content = message.get("content")
        if message.get("type") == "completion":
            content = [{"text": message.get("completion")}]
        if isinstance(content, list):
            self._blocks += [block for block in content if isinstance(block, dict)]

    def _take_usage(self, holder: Mapping[str, Any]) -> None:
        usage = _object(holder.get("usage"))
        self._usage |= {name: value for name, value in usage.items() if value is not None}


def delta_text(event: dict[str, Any]) -> str:
    """The text that a `content_block_delta` adds."""
    delta = _object(event.get("delta"))
    return next((text for key in _DELTA_KEYS if isinstance(text := delta.get(key), str)), "")


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
