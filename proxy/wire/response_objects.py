"""Response objects of the OpenAI responses API, whole or at the end of a stream of events.

Owns status, output items, tool calls, usage and errors, and what can be said of a stream that
was cut before its last event. Refuses to know how a response was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from proxy.facts import ReplyFacts, ReplyHead, Usage
from proxy.wire.copies import Copy, documents, heard
from proxy.wire.counts import count
from proxy.wire.errors import error_facts, error_in, refusal_in
from proxy.wire.openai_usage import read_usage, usage_doubt
from proxy.wire.words import plain, word

_UNFINISHED = ("queued", "in_progress")
_CLIENT_RUNS = (
    "function_call",
    "custom_tool_call",
    "computer_call",
    "local_shell_call",
    "shell_call",
    "apply_patch_call",
)
_PAGE_ACTIONS = ("open_page", "find_in_page", "find")
# Events that hold neither a response, nor an output item, nor an error only bring text.
_TELLING = (b'"response"', b'"item"', b'"error"')


def read_response(copy: Copy, head: ReplyHead, *, bills: bool) -> ReplyFacts:
    """The facts of an answer whose body is `copy`; without `bills` its counts are no usage."""
    failed = head.status >= 400
    if copy.is_empty:
        return ReplyFacts()
    answer = _Answer()
    if copy.is_json:
        document = copy.document()
        parse_error = document.parse_error
        if failed:
            answer.error = refusal_in(document.value)
        else:
            answer.take(document.value, is_whole=parse_error is None)
    else:
        parse_error = _read_stream(copy, answer)
        if failed and answer.error is None:
            answer.error = copy.words()
    return answer.facts(copy, parse_error, in_band=not failed, bills=bills)


def _read_stream(copy: Copy, answer: _Answer) -> str | None:
    unreadable = heard(copy.telling(_TELLING), answer.hear)
    _hear_torn(copy, answer)
    return f"{unreadable} unreadable events" if unreadable else None


def _hear_torn(copy: Copy, answer: _Answer) -> None:
    """The last event repeats the whole answer: where the gap fell into it, its end has usage."""
    levels = [] if answer.response.get("usage") else copy.torn()
    if levels and isinstance(levels[0].get("response"), dict):
        answer.take(levels[0]["response"])
    elif len(levels) > 1 and "usage" in levels[1]:
        answer.take({**answer.response, **levels[1]}, is_whole=False)


@dataclass(slots=True)
class _Answer:
    """What is known of one response so far."""

    response: dict[str, Any] = field(default_factory=dict)
    items: dict[int, dict[str, Any]] = field(default_factory=dict)
    is_whole: bool = True
    error: Any = None

    def take(self, response: Any, *, is_whole: bool = True) -> None:
        """Take in a response object; a later one replaces it."""
        if isinstance(response, dict):
            self.response = response
            self.is_whole = is_whole
            self.error = error_in(response) or self.error

    def hear(self, event: Any) -> None:
        if not isinstance(event, dict):
            return
        self.error = error_in(event) or self.error
        if isinstance(event.get("response"), dict):
            self.take(event["response"])
        item, index = event.get("item"), event.get("output_index")
        if isinstance(item, dict) and isinstance(index, int):
            self.items[index] = item

    @property
    def output(self) -> list[dict[str, Any]]:
        output = self.response.get("output")
        if isinstance(output, list) and output:
            return [item for item in output if isinstance(item, dict)]
        return [self.items[index] for index in sorted(self.items)]

    def facts(
        self, copy: Copy, parse_error: str | None, *, in_band: bool, bills: bool
    ) -> ReplyFacts:
        response, output = self.response, self.output
        ended = self._has_ended() and "output" in response
        usage = self._usage(output if ended else []) if bills else None
        kind, message = error_facts(self.error)
        if self.error and in_band:
            kind = kind or "error"
        elif response.get("status") == "failed":
            kind = kind or "failed"
        called = sum(_client_runs(item) for item in output)
        tier = word(response.get("service_tier"))
        return ReplyFacts(
            model=word(response.get("model")),
            response_id=word(response.get("id")),
            service_tier=None if tier == "auto" else tier,
            finish_reasons=self._finish_reasons(),
            tool_names=tuple(filter(None, (_tool_name(item) for item in output))) or None,
            tool_call_count=called if ended and bills else None,
            usage=usage,
            error_type=kind,
            error_message=message,
            text=lambda: response_text(copy),
            parse_error=parse_error or usage_doubt(usage),
        )

    def _has_ended(self) -> bool:
        """Not said of a cut response whose status is among what is missing."""
        status = self.response.get("status")
        return status not in _UNFINISHED and (status is not None or self.is_whole)

    def _finish_reasons(self) -> tuple[str, ...] | None:
        """Why it is incomplete, else its status once it has ended."""
        status = word(self.response.get("status"))
        if status is None or not self._has_ended():
            return None
        if status == "incomplete" and "incomplete_details" not in self.response:
            return None  # the reason is among what is missing
        details = self.response.get("incomplete_details")
        reason = word(details.get("reason")) if isinstance(details, dict) else None
        return (reason or status,)

    def _usage(self, output: list[dict[str, Any]]) -> Usage | None:
        usage = read_usage(self.response.get("usage"))
        if usage is None:
            return None
        aside = self.response.get("tool_usage")
        searches = usage.web_searches
        if searches is None:
            searches = _reported_searches(aside)
        if searches is None:
            searches = sum(_is_search(item) for item in output) or None
        raw = usage.raw if not _says_something(aside) else {**usage.raw, "tool_usage": aside}
        return replace(usage, web_searches=searches, units=_units(output), raw=raw)


def _units(output: list[dict[str, Any]]) -> dict[str, int]:
    """What the provider's own tools did that is billed beside the tokens."""
    kinds = [item.get("type") for item in output]
    containers = {
        word(item.get("container_id")) or ""
        for item in output
        if item.get("type") == "code_interpreter_call"
    }
    units = {
        "file_searches": kinds.count("file_search_call"),
        "code_containers": len(containers),
        "generated_images": kinds.count("image_generation_call"),
    }
    return {name: number for name, number in units.items() if number}


def _reported_searches(aside: Any) -> int | None:
    search = aside.get("web_search") if isinstance(aside, dict) else None
    return count(search.get("num_requests")) if isinstance(search, dict) else None


def _says_something(value: Any) -> bool:
    """Whether any number in it is not 0."""
    if isinstance(value, dict):
        return any(_says_something(member) for member in value.values())
    return isinstance(value, (int, float)) and value != 0


def _is_search(item: dict[str, Any]) -> bool:
    """Opening a page that a search found is part of the search."""
    action = item.get("action")
    kind = action.get("type") if isinstance(action, dict) else None
    return item.get("type") == "web_search_call" and kind not in _PAGE_ACTIONS


def _client_runs(item: dict[str, Any]) -> bool:
    if item.get("type") == "tool_search_call":
        return item.get("execution") == "client"
    return item.get("type") in _CLIENT_RUNS


def _tool_name(item: dict[str, Any]) -> str | None:
    kind = word(item.get("type")) or ""
    if not kind.endswith("_call"):
        return None
    return word(item.get("name")) or kind.removesuffix("_call")


def response_text(copy: Copy) -> str:
    """All the text that an answer made: summaries of thought, words, and arguments of calls."""
    if copy.is_json:
        value = copy.document().value
        return _output_text(value.get("output")) if isinstance(value, dict) else ""
    final, deltas = "", []
    for block in copy.blocks():
        for event in documents(block)[0]:
            if not isinstance(event, dict):
                continue
            deltas.append(plain(event.get("delta")))
            response = event.get("response")
            if isinstance(response, dict):
                final = _output_text(response.get("output")) or final
    return final or "".join(deltas)


def _output_text(output: Any) -> str:
    return "\n".join(filter(None, _item_texts(output if isinstance(output, list) else [])))


def _item_texts(output: list[Any]) -> Iterator[str]:
    for item in output:
        if isinstance(item, dict):
            yield plain(item.get("name"))
            yield plain(item)
