"""Answers made of choices: chat completions and text completions, whole or streamed.

Owns collecting model, usage, finish reasons, tool calls and errors over the chunks of an answer,
and the text. Refuses to know how an answer was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from proxy.facts import ReplyFacts, ReplyHead
from proxy.wire.copies import Copy, documents
from proxy.wire.errors import error_facts, error_in, refusal_in
from proxy.wire.openai_usage import read_usage, usage_doubt
from proxy.wire.skim import events_with, first_events
from proxy.wire.words import plain, word

# A call is begun by the event that names its function; pieces of arguments follow without.
_KEYS = (b'"name"', b'"x_groq"', b"[DONE]")
_NULLABLE = (b'"finish_reason"', b'"error"')
_CUMULATIVE = (b'"usage"',)
# Google's speakers of this format count thinking in the total alone.
_HIDDEN_OUTPUT = ("gemini", "vertex")


def read_choices(copy: Copy, head: ReplyHead) -> ReplyFacts:
    """The facts of an answer whose body is `copy`."""
    answer = _Answer(hidden_output=head.request.provider in _HIDDEN_OUTPUT)
    failed = head.status >= 400
    parse_error = None
    if copy.is_empty:
        return ReplyFacts()
    if copy.is_json:
        document = copy.document()
        parse_error = document.parse_error
        answer.is_complete = not parse_error
        answer.add(refusal_in(document.value) if failed else document.value)
        if failed:
            answer.error = refusal_in(document.value)
    else:
        parse_error = _read_stream(copy, answer)
        if failed and answer.error is None:
            answer.error = copy.words()
    return answer.facts(copy, parse_error, in_band=not failed)


def _read_stream(copy: Copy, answer: _Answer) -> str | None:
    unreadable = 0
    block = b""
    for text in copy.streams():
        for block in _telling(text, answer):
            found, whole = documents(block)
            unreadable += not whole
            for chunk in found:
                answer.add(chunk)
            if not found and b"[DONE]" in block:
                answer.is_complete = True
    if unreadable and not documents(block)[1]:
        unreadable -= 1  # the last one was cut with the stream
    if not answer.usage and (torn := copy.torn()):
        answer.add(torn[0])
    answer.is_complete = (answer.is_complete or answer.has_finished) and not copy.has_gap
    return f"{unreadable} unreadable events" if unreadable else None


def _telling(text: bytes, answer: _Answer) -> Iterator[bytes]:
    """The events that say more than text."""
    start = yield from first_events(text, lambda: bool(answer.model and answer.response_id))
    yield from events_with(
        text, keys=_KEYS, nullable=_NULLABLE, cumulative=_CUMULATIVE, start=start
    )


@dataclass(slots=True)
class _Answer:
    """What the chunks of one answer have said so far."""

    hidden_output: bool = False
    model: str | None = None
    response_id: str | None = None
    service_tier: str | None = None
    usage: Any = None
    usage_aside: Any = None
    finishes: dict[int, str] = field(default_factory=dict)
    calls: dict[tuple[int, Any], list[_Call]] = field(default_factory=dict)
    names: list[_Call] = field(default_factory=list)
    has_choices: bool = False
    is_complete: bool = False
    error: Any = None

    def add(self, chunk: Any) -> None:
        """Take in one chunk, or the whole answer."""
        if not isinstance(chunk, dict):
            return
        self.model = self.model or word(chunk.get("model"))
        self.response_id = self.response_id or word(chunk.get("id"))
        self.service_tier = _tier(chunk.get("service_tier")) or self.service_tier
        self.usage = chunk.get("usage") or self.usage
        aside = chunk.get("x_groq")
        if isinstance(aside, dict):
            self.usage_aside = aside.get("usage") or self.usage_aside
        self.error = error_in(chunk) or self.error
        choices = chunk.get("choices")
        for number, choice in enumerate(choices if isinstance(choices, list) else ()):
            if isinstance(choice, dict):
                self._add_choice(number, choice)

    def _add_choice(self, number: int, choice: dict[str, Any]) -> None:
        self.has_choices = True
        index = choice.get("index")
        if isinstance(index, int):
            number = index
        if reason := word(choice.get("finish_reason")):
            self.finishes[number] = reason
        self.error = choice.get("error") or self.error
        message = choice.get("message") or choice.get("delta")
        if not isinstance(message, dict):
            return
        calls = message.get("tool_calls")
        for position, call in enumerate(calls if isinstance(calls, list) else ()):
            if isinstance(call, dict):
                self._add_call(number, call.get("index", position), call)
        if isinstance(call := message.get("function_call"), dict) and word(call.get("name")):
            self._add_call(number, "function_call", {"function": call})

    def _add_call(self, choice: int, slot: Any, call: dict[str, Any]) -> None:
        """A call comes whole or in pieces: a new id with a name begins another one, even where
        the speaker numbers them all alike."""
        details = call.get("function") or call.get("custom")
        name = word(details.get("name")) if isinstance(details, dict) else None
        identity = word(call.get("id"))
        slot = slot if isinstance(slot, (int, str)) else None
        begun = self.calls.setdefault((choice, slot), [])
        if begun and not (name and identity and begun[-1].identity not in (None, identity)):
            begun[-1].name = begun[-1].name or name
            begun[-1].identity = begun[-1].identity or identity
            return
        begun.append(_Call(identity, name))
        self.names.append(begun[-1])

    def facts(self, copy: Copy, parse_error: str | None, *, in_band: bool) -> ReplyFacts:
        usage = read_usage(self.usage or self.usage_aside, hidden_output=self.hidden_output)
        kind, message = error_facts(self.error)
        if self.error and in_band:
            kind = kind or "error"
        called = len(self.names)
        return ReplyFacts(
            model=self.model,
            response_id=self.response_id,
            service_tier=self.service_tier,
            finish_reasons=tuple(self.finishes[n] for n in sorted(self.finishes)) or None,
            tool_names=tuple(call.name for call in self.names if call.name) or None,
            tool_call_count=called if self._counts_calls(copy) else None,
            usage=usage,
            error_type=kind,
            error_message=message,
            text=lambda: answer_text(copy),
            parse_error=parse_error or usage_doubt(usage),
        )

    @property
    def has_finished(self) -> bool:
        """Whether every choice that called a tool has said why it ended; not all speakers say
        that the stream does."""
        return bool(self.finishes) and all(choice in self.finishes for choice, _ in self.calls)

    def _counts_calls(self, copy: Copy) -> bool:
        """Of a cut answer the names that were seen are reported, but not how many calls it made."""
        return self.has_choices and self.is_complete and not copy.has_gap


@dataclass(slots=True)
class _Call:
    identity: str | None
    name: str | None


def _tier(value: Any) -> str | None:
    """The tier that served an answer; `auto` is what was asked for."""
    return None if value == "auto" else word(value)


def answer_text(copy: Copy) -> str:
    """All the text that an answer made: what it thought, said and called tools with."""
    return "".join(_texts(copy))


def _texts(copy: Copy) -> Iterator[str]:
    if copy.is_json:
        chunks: list[Any] = [copy.document().value]
        yield from _chunk_texts(chunks)
        return
    for block in copy.blocks():
        yield from _chunk_texts(documents(block)[0])


def _chunk_texts(chunks: list[Any]) -> Iterator[str]:
    for chunk in chunks:
        choices = chunk.get("choices") if isinstance(chunk, dict) else None
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                yield from _choice_texts(choice)


def _choice_texts(choice: dict[str, Any]) -> Iterator[str]:
    message = choice.get("message") or choice.get("delta")
    if not isinstance(message, dict):
        yield plain(choice.get("text"))
        return
    thought = message.get("reasoning_content") or message.get("reasoning")
    for part in (thought, message.get("content"), message.get("refusal"), message.get("audio")):
        yield plain(part)
    calls = message.get("tool_calls")
    for call in [*(calls if isinstance(calls, list) else ()), message.get("function_call")]:
        details = call.get("function", call.get("custom", call)) if isinstance(call, dict) else None
        if isinstance(details, dict):
            yield plain(details.get("name"))
            yield plain(details.get("arguments") or details.get("input"))
