"""Answers of Cohere's chat: one object, lines of JSON (version 1), or events (version 2).

Owns what each of them adds. Refuses to know how an answer was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from proxy.facts import ReplyFacts, Usage
from proxy.wire.cohere_usage import cohere_usage
from proxy.wire.copies import Copy, documents
from proxy.wire.errors import error_facts, error_in, refusal_in
from proxy.wire.event_blocks import event_blocks
from proxy.wire.json_lines import Lines
from proxy.wire.words import plain, word

# These make up nearly all of a stream and say nothing but text.
_TEXT_EVENT = b"event: content-delta\n"
# What the lines of version 1 that say more than text hold.
_TELLING = (b'"tool-calls-generation"', b'"stream-end"', b'"is_finished":true', b'"error"')
_FAILED = ("ERROR", "TIMEOUT")


def read_cohere(copy: Copy, *, failed: bool) -> ReplyFacts:
    """The facts of an answer whose body is `copy`."""
    answer = _Answer()
    if copy.is_empty:
        return ReplyFacts()
    if not copy.is_json:
        parse_error = _read_events(copy, answer)
        if failed and answer.error is None:
            answer.error, parse_error = copy.words(), None
    elif (lines := Lines(copy.segments)).is_document:
        document = copy.document()
        parse_error = document.parse_error
        answer.is_complete = parse_error is None
        answer.take(refusal_in(document.value) if failed else document.value)
        answer.error = refusal_in(document.value) if failed else answer.error
    else:
        for line in lines.telling(_TELLING):
            answer.hear_line(line.members)
        parse_error = f"{lines.unreadable} unreadable lines" if lines.unreadable else None
    return answer.facts(copy, parse_error, in_band=not failed)


def _read_events(copy: Copy, answer: _Answer) -> str | None:
    unreadable = 0
    for block, is_torn in event_blocks(copy.segments):
        if block.startswith(_TEXT_EVENT):
            continue
        found, whole = documents(block)
        unreadable += not whole and not is_torn
        for event in found:
            answer.hear(event)
    if answer.usage is None:
        for level in copy.torn():
            answer.hear(level)
    return f"{unreadable} unreadable events" if unreadable else None


@dataclass(slots=True)
class _Answer:
    """What is known of one answer so far."""

    response_id: str | None = None
    usage: Usage | None = None
    reasons: tuple[str, ...] = ()
    calls: list[str] = field(default_factory=list)
    is_complete: bool = False
    error: Any = None

    def take(self, document: Any) -> None:
        """Take in a whole answer."""
        if not isinstance(document, dict):
            return
        self.response_id = word(document.get("response_id")) or word(document.get("id"))
        self.usage = cohere_usage(document.get("usage") or document.get("meta")) or self.usage
        self.error = error_in(document) or self.error
        choices = document.get("generations")
        finished = choices if isinstance(choices, list) else [document]
        found = (word(each.get("finish_reason")) for each in finished if isinstance(each, dict))
        self.reasons = tuple(reason for reason in found if reason) or self.reasons
        message = document.get("message")
        calls = document.get("tool_calls")
        if isinstance(message, dict):
            calls = message.get("tool_calls")
        self.calls = _names(calls) or self.calls

    def hear(self, event: Any) -> None:
        """Take in an event of version 2."""
        if not isinstance(event, dict):
            return
        delta = event.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        self.error = error_in(event) or error_in(delta) or self.error
        match event.get("type"):
            case "message-start":
                self.response_id = word(event.get("id"))
            case "tool-call-start":
                message = delta.get("message")
                self.calls += _names(message.get("tool_calls") if isinstance(message, dict) else {})
            case "message-end":
                self.take(delta | {"id": self.response_id})
                self.is_complete = True
            case None:  # what a gap left of the last event
                self.usage = cohere_usage(event.get("usage")) or self.usage
                self.hear_line(event)

    def hear_line(self, line: dict[str, Any]) -> None:
        """Take in a line of version 1, whose last one repeats the whole answer."""
        self.error = error_in(line) or self.error
        self.response_id = self.response_id or word(line.get("generation_id"))
        if line.get("event_type") == "tool-calls-generation":
            self.calls = _names(line.get("tool_calls"))
        if reason := word(line.get("finish_reason")):
            self.reasons = (reason,)
        if isinstance(response := line.get("response"), dict):
            self.take({"finish_reason": line.get("finish_reason"), **response})
        self.is_complete = self.is_complete or line.get("is_finished") is True

    def facts(self, copy: Copy, parse_error: str | None, *, in_band: bool) -> ReplyFacts:
        kind, message = error_facts(self.error)
        if in_band and (self.error or self._has_failed()):
            kind = kind or "error"
        counts_calls = self.is_complete and self.reasons and not copy.has_gap
        return ReplyFacts(
            response_id=self.response_id,
            finish_reasons=self.reasons or None,
            tool_names=tuple(filter(None, self.calls)) or None,
            tool_call_count=len(self.calls) if counts_calls else None,
            usage=self.usage,
            error_type=kind,
            error_message=message,
            text=lambda: "".join(_texts(copy)),
            parse_error=parse_error,
        )

    def _has_failed(self) -> bool:
        return any(reason in _FAILED for reason in self.reasons)


def _names(calls: Any) -> list[str]:
    """The tools called: version 1 names them in the call, version 2 in its function."""
    if isinstance(calls, dict):
        calls = [calls] if calls else []
    names = []
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict):
            details = call.get("function")
            holder = details if isinstance(details, dict) else call
            names.append(word(holder.get("name")) or "")
    return names


def _texts(copy: Copy) -> Iterator[str]:
    """The pieces of text, without the repetition at the end of version 1's stream."""
    if copy.is_json:
        for line in Lines(copy.segments).all():
            if "event_type" not in line.members or "text" in line.members:
                yield _answer_text(line.members)
        return
    for block in copy.blocks():
        for event in documents(block)[0]:
            delta = event.get("delta") if isinstance(event, dict) else None
            if isinstance(delta, dict):
                yield _answer_text(delta)


def _answer_text(answer: dict[str, Any]) -> str:
    message = answer.get("message")
    if not isinstance(message, dict):
        generations = answer.get("generations")
        said = generations if isinstance(generations, list) else answer.get("text")
        return plain(said) + _calls_text(answer.get("tool_calls"))
    found = [plain(message.get("tool_plan")), plain(message.get("content"))]
    return "".join(found) + _calls_text(message.get("tool_calls"))


def _calls_text(calls: Any) -> str:
    """The names and arguments of calls, or the next piece of one's arguments."""
    found = []
    for call in calls if isinstance(calls, list) else [calls]:
        if isinstance(call, dict):
            details = call.get("function")
            holder = details if isinstance(details, dict) else call
            found += [plain(holder.get("name")), plain(holder.get("arguments"))]
            if holder.get("parameters"):
                found.append(str(holder["parameters"]))
    return "".join(found)
