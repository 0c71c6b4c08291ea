"""One planned exchange: everything that happens in it, before anything is put into bytes.

Owns these shapes. Tokens are counted here, by plain addition; unknown is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal, NamedTuple

from sample_data.generator.features import Feature
from sample_data.generator.models import Model
from sample_data.generator.people import Person
from sample_data.generator.wording import Text, count

Ending = Literal["stop", "length", "tool"]

# OpenAI Cookbook, "How to count tokens with tiktoken": what is counted around each message, the
# system prompt's too, and before each answer.
_FRAME_TOKENS, _PRIMING_TOKENS = 4, 3
# How many more tokens Claude makes of a text, by the median over recorded prompts.
_CLAUDES_MORE = 1.15


class Message(NamedTuple):
    """One message; with `tool`, a call (of the assistant) or its result (of the tool)."""

    role: Literal["user", "assistant", "tool"]
    text: str
    tokens: int
    tool: str | None = None
    call_id: str | None = None
    query: str | None = None


class Answer(NamedTuple):
    """What the model says. `pieces` are sentences; a stream brings one at a time."""

    pieces: tuple[str, ...]
    tokens: int
    ending: Ending = "stop"
    reasoning_tokens: int = 0
    tool: str | None = None
    call_id: str | None = None
    query: str | None = None


class Counted(NamedTuple):
    """Tokens by class, as Meterline's columns mean them; None where nobody says."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None


class Fate(NamedTuple):
    """How it ends. `pieces_seen` None: the whole answer came."""

    outcome: str = "completed"
    status: int | None = 200
    error_type: str | None = None
    error_message: str | None = None
    pieces_seen: int | None = None


class Flags(NamedTuple):
    """What makes it special, for the ledger."""

    duplicate_of: str | None = None
    near_duplicate_of: str | None = None
    retry_of: str | None = None
    event: str | None = None


class Decided(NamedTuple):
    """What a rule of the proxy did, and why."""

    policy: str
    rule: str
    action: str
    reason: str


class Ruled(NamedTuple):
    """What rules of the proxy made of a call."""

    decisions: tuple[Decided, ...] = ()
    if_whole: Decided | None = None
    """What is decided once the answer has come whole."""
    model: Model | None = None
    """Put in the place of the one that was asked for."""
    again: Planned | None = None
    """The exchange whose answer was kept, and is given again: nobody is asked."""


class Trace(NamedTuple):
    trace_id: str | None = None
    parent_span_id: str | None = None


UNTRACED, UNREMARKABLE, UNRULED = Trace(), Flags(), Ruled()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request, whenever and however often it is sent."""

    feature: Feature
    model: Model
    version: str
    system: Text
    messages: tuple[Message, ...]
    person: Person | None = None
    session_id: str | None = None
    environment: str | None = None
    trace: Trace = UNTRACED
    limit: int = 1000

    @property
    def text_tokens(self) -> int:
        return self.system.tokens + sum(message.tokens for message in self.messages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One exchange. Times are microseconds since the epoch and seconds."""

    exchange_id: str
    started_at: int
    ask: Ask
    answer: Answer
    fate: Fate
    counted: Counted
    """What the provider counts, whether or not its answer lives to say so."""
    duration_seconds: float
    time_to_first_chunk_seconds: float | None
    overhead_seconds: float
    flags: Flags = UNREMARKABLE
    ruled: Ruled = UNRULED

    @property
    def model(self) -> Model:
        """The one that answers."""
        return self.ruled.model or self.ask.model

    @property
    def asked_nobody(self) -> bool:
        """The proxy answered by itself."""
        return self.fate.outcome in ("refused", "cached")

    @property
    def is_cut(self) -> bool:
        return self.fate.pieces_seen is not None


def reported(planned: Planned) -> tuple[Counted | None, Literal["provider", "estimated"] | None]:
    """What is known of the tokens in the end, and by whom.

    A cut stream of Anthropic has told its input, others have told nothing, as have those that were
    not asked to; of all, the words seen can be counted.
    """
    if planned.fate.status is None or planned.fate.status >= 400 or planned.asked_nobody:
        return None, None
    if not planned.is_cut and planned.ask.feature.asks_usage:
        return planned.counted, "provider"
    seen = " ".join(planned.answer.pieces[: planned.fate.pieces_seen])
    if planned.model.speaks == "anthropic":
        said = ceil(count(seen) * _CLAUDES_MORE) or None
        told = planned.counted._replace(output=said, reasoning=None)
        return told, "provider" if said is None else "estimated"
    frames = 0
    if planned.model.speaks == "openai":
        frames = _FRAME_TOKENS * (len(planned.ask.messages) + 1) + _PRIMING_TOKENS
    return Counted(input=planned.ask.text_tokens + frames, output=count(seen)), "estimated"


def labels(ask: Ask) -> dict[str, str]:
    """What the client labels it with, by column; free ones as `tags.NAME`."""
    feature, person = ask.feature, ask.person
    found = {"feature": feature.name, "environment": ask.environment, "session_id": ask.session_id}
    if person is not None:
        found |= {"tags.team": person.team, "tags.plan": person.plan}
        if not feature.user_in_body:
            found["user_id"] = person.user_id
    return {name: value for name, value in found.items() if value is not None}
