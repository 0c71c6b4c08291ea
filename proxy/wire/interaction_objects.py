"""Interactions of the Gemini API, whole or as a stream of events.

Owns status, steps, calls, searches, usage and errors, in the words of both revisions of the API:
steps, and before them outputs. Refuses to know how an interaction was asked for, and to trust the
counts of one that goes on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from proxy.facts import ReplyFacts, ReplyHead, Usage
from proxy.wire.copies import Copy, documents, heard
from proxy.wire.counts import count
from proxy.wire.errors import error_facts, error_in, refusal_in
from proxy.wire.gemini_answer import billed_searches
from proxy.wire.gemini_usage import interaction_usage
from proxy.wire.words import plain, word

_UNFINISHED = ("queued", "in_progress")
_FIRST = ("interaction.created", "interaction.start")
_LAST = ("interaction.completed", "interaction.complete")
# Events with none of these bring text, thoughts and arguments. A string that ends so is a value.
_TELLING = (b'"interaction"', b'"status"', b'"step"', b'_call"', b'"function_result"', b'"error"')
_NO_TOOL = "processing_call"  # how the provider itself reads a film
# What is billed beside tokens and searches of the web, by the provider's word for it.
_UNITS = {"google_maps": "map_searches", "retrieval": "retrievals"}


def read_interaction(copy: Copy, head: ReplyHead) -> ReplyFacts:
    """The facts of an answer whose body is `copy`."""
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
            answer.all_seen = parse_error is None
            answer.take(document.value, is_last=answer.all_seen)
    else:
        parse_error = _read_stream(copy, answer)
        if failed and answer.error is None:
            answer.error = copy.words()
    return answer.facts(copy, parse_error, in_band=not failed)


def _read_stream(copy: Copy, answer: _Answer) -> str | None:
    unreadable = heard(copy.telling(_TELLING), answer.hear)
    if not answer.has_ended:
        _hear_torn(copy, answer)
    answer.all_seen = answer.begun and not (unreadable or copy.has_gap)
    return f"{unreadable} unreadable events" if unreadable else None


def _hear_torn(copy: Copy, answer: _Answer) -> None:
    """The last event has the usage: where the gap fell into its beginning, its end may do."""
    levels = copy.torn()
    if len(levels) > 1 and "usage" in levels[1]:
        answer.take(levels[1], is_last=levels[0].get("event_type") in _LAST)
    elif levels:
        answer.hear(levels[0])


@dataclass(slots=True)
class _Answer:
    """What is known of one interaction so far."""

    interaction: dict[str, Any] = field(default_factory=dict)
    steps: dict[int, dict[str, Any]] = field(default_factory=dict)
    queries: dict[str, None] = field(default_factory=dict)
    error: Any = None
    begun: bool = False
    was_last: bool = False
    all_seen: bool = False

    def take(self, interaction: Any, *, is_last: bool = False) -> None:
        """Take in an interaction; what a later one says replaces what an earlier one said."""
        if not isinstance(interaction, dict):
            return
        known = {k: v for k, v in self.interaction.items() if k != "status" or not is_last}
        self.interaction = known | {k: v for k, v in interaction.items() if v is not None}
        self.was_last |= is_last
        self.error = error_in(interaction) or self.error

    def hear(self, event: Any) -> None:
        if not isinstance(event, dict):
            return
        self.error = error_in(event) or self.error
        kind = word(event.get("event_type")) or ""
        told = event.get("interaction")
        if isinstance(told, dict) or kind.startswith("interaction."):
            flat = {"id": event.get("interaction_id"), **event}
            self.take(told if isinstance(told, dict) else flat, is_last=kind in _LAST)
            self.begun |= kind in _FIRST
        for name in ("step", "content", "delta"):
            self._add(event.get("index"), event.get(name))

    def _add(self, index: Any, piece: Any) -> None:
        """A step's beginning, or more of it; text and thoughts are left to whoever wants them."""
        kind = _kind(piece)
        if isinstance(index, int) and (kind.endswith("_call") or kind == "function_result"):
            said = {name: value for name, value in piece.items() if value}
            self.steps[index] = self.steps.get(index, {}) | said
            self.queries |= dict.fromkeys(_queries(piece))

    @property
    def has_ended(self) -> bool:
        """Not said of one that was cut and whose status is among what is missing."""
        status = word(self.interaction.get("status"))
        return self.was_last if status is None else status not in _UNFINISHED

    def facts(self, copy: Copy, parse_error: str | None, *, in_band: bool) -> ReplyFacts:
        interaction, listed = self.interaction, listed_steps(self.interaction)
        steps = _made(listed or [self.steps[index] for index in sorted(self.steps)])
        all_seen = bool(listed) or self.all_seen
        names = tuple(name for step in steps if (name := _tool_name(step)))
        status = word(interaction.get("status"))
        error = self.error or next(filter(None, map(error_in, steps)), None)
        if status == "failed":
            error = error or refusal_in(interaction.get("errors"))
        kind, message = error_facts(error)
        if in_band and (error or status == "failed"):
            kind = kind or ("error" if error else "failed")
        return ReplyFacts(
            model=self._model(),
            response_id=word(interaction.get("id")),
            service_tier=word(interaction.get("service_tier")),
            finish_reasons=(status,) if status and self.has_ended else None,
            tool_names=names if all_seen and self.has_ended else names or None,
            tool_call_count=_client_runs(steps) if all_seen and self.has_ended else None,
            usage=self._usage(steps) if self.has_ended else None,
            error_type=kind,
            error_message=message,
            text=lambda: interaction_text(copy),
            parse_error=parse_error,
        )

    def _model(self) -> str | None:
        """The agent where no model is named, which only the whole answer says."""
        model, agent = word(self.interaction.get("model")), word(self.interaction.get("agent"))
        name = model or (agent if self.all_seen else None)
        return name and name.rpartition("/")[2]

    def _usage(self, steps: list[dict[str, Any]]) -> Usage | None:
        raw = self.interaction.get("usage")
        if not isinstance(raw, dict) or (usage := interaction_usage(raw)) is None:
            return None
        counted = _grounding(raw)
        queries = self.queries | dict.fromkeys(query for step in steps for query in _queries(step))
        searches = counted.get("google_search") or len(queries)
        units = {ours: number for name, ours in _UNITS.items() if (number := counted.get(name))}
        billed = billed_searches(self._model(), searches)
        return replace(usage, web_searches=billed, units=units)


def listed_steps(interaction: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps that an interaction has in it, by their newer or their older name."""
    steps = interaction.get("steps") or interaction.get("outputs")
    return [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []


def _made(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that this interaction made: one that is read back may begin with what was put in."""
    asked = [number for number, step in enumerate(steps) if _kind(step) == "user_input"]
    return steps[asked[-1] + 1 :] if asked else steps


def _client_runs(steps: list[dict[str, Any]]) -> int:
    """Calls that wait for the client: those of an agent's own functions have their results."""
    answered = {word(s.get("call_id")) for s in steps if _kind(s) == "function_result"} - {None}
    calls = [step for step in steps if _kind(step) == "function_call"]
    return sum(word(call.get("id")) not in answered for call in calls)


def _tool_name(step: dict[str, Any]) -> str | None:
    kind = _kind(step)
    if not kind.endswith("_call") or kind == _NO_TOOL:
        return None
    return word(step.get("name")) or kind.removesuffix("_call")


def _queries(step: dict[str, Any]) -> list[str]:
    arguments = step.get("arguments") if _kind(step) == "google_search_call" else None
    queries = arguments.get("queries") if isinstance(arguments, dict) else None
    return list(filter(None, map(word, queries))) if isinstance(queries, list) else []


def _grounding(raw: dict[str, Any]) -> dict[str, int]:
    """How often each of the provider's tools that search was used."""
    counted: dict[str, int] = {}
    told = raw.get("grounding_tool_count")
    for each in told if isinstance(told, list) else ():
        number = count(each.get("count")) if isinstance(each, dict) else None
        if number and (name := word(each.get("type"))):
            counted[name] = counted.get(name, 0) + number
    return counted


def interaction_text(copy: Copy) -> str:
    """All the text that an interaction made: words, thoughts, and arguments of calls."""
    if copy.is_json:
        value = copy.document().value
        steps = _made(listed_steps(value)) if isinstance(value, dict) else []
        return "\n".join(filter(None, map(_said, steps)))
    said = []
    for block in copy.blocks():
        for event in documents(block)[0]:
            if isinstance(event, dict):
                said += [_said(event.get(name)) for name in ("step", "content", "delta")]
    return "".join(said)


def _said(piece: Any) -> str:
    """The words in a step, or in a piece of one."""
    kind = _kind(piece)
    if not kind or kind == "user_input" or kind.endswith("_result"):
        return ""
    words = [plain(piece.get(name)) for name in ("name", "text", "content", "summary")]
    arguments = piece.get("arguments")
    if arguments and not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    return "".join([*words, arguments or ""])


def _kind(piece: Any) -> str:
    return (word(piece.get("type")) or "") if isinstance(piece, dict) else ""
