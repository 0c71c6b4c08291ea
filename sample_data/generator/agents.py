"""Runs of an agent: it calls tools, reads what they say, and goes on.

Owns rounds, what an agent remembers, help by a smaller model, and the run that does not end.
"""

from __future__ import annotations

from random import Random

from sample_data.generator import wording
from sample_data.generator.asking import (
    answered,
    asked,
    new_session,
    some_environment,
    user_message,
)
from sample_data.generator.events import RUNAWAY_ROUNDS
from sample_data.generator.models import HAIKU, Model
from sample_data.generator.people import People, Person
from sample_data.generator.planned import Answer, Flags, Message, Trace
from sample_data.generator.rhythm import between, starts
from sample_data.generator.sending import TOOL_TOKENS, Sender

TOOLS = ("find_order", "read_notes", "track_parcel", "list_prices")
_REMEMBERED = 40
"""Messages that an agent keeps; older ones are dropped, and the provider's cache with them."""
_CALL_TOKENS = 14
_SUB_AGENT_SHARE = 0.3


def agent(sender: Sender, people: People, day: int, number: int, count: int) -> None:
    """Runs of an agent: it calls tools, reads what they say, and goes on; sometimes with help."""
    chance = sender.chance
    for start, person in starts(chance, people, day, number, count):
        rounds = between(chance, *sender.feature.turns)
        trace = Trace(f"{chance.getrandbits(128):032x}", f"{chance.getrandbits(64):016x}")
        session = new_session(chance, sender.feature)
        ended = _run(sender, person, start, rounds, session, trace)
        if chance.random() < _SUB_AGENT_SHARE:
            inner = trace._replace(parent_span_id=f"{chance.getrandbits(64):016x}")
            _run(sender, person, ended, between(chance, 2, 4), session, inner, model=HAIKU)


def runaway(sender: Sender, person: Person, start: int) -> None:
    """One run that does not end by itself."""
    chance = sender.chance
    trace = Trace(f"{chance.getrandbits(128):032x}", f"{chance.getrandbits(64):016x}")
    session = new_session(chance, sender.feature)
    _run(sender, person, start, RUNAWAY_ROUNDS, session, trace, event="runaway")


def _run(
    sender: Sender,
    person: Person,
    at: int,
    rounds: int,
    session: str,
    trace: Trace,
    *,
    model: Model | None = None,
    event: str | None = None,
) -> int:
    chance, feature = sender.chance, sender.feature
    environment = some_environment(chance) if event is None else "production"
    said: tuple[Message, ...] = (user_message(chance, feature),)
    kept = 0
    for step in range(rounds):
        ask = asked(
            sender,
            at,
            person,
            said,
            session_id=session,
            environment=environment,
            trace=trace,
            model=model,
        )
        answer = answered(chance, ask) if step + 1 == rounds else _tool_call(chance)
        sent = sender.send(ask, answer, at, kept=kept, flags=Flags(event=event))
        at = sent.ended_at + round(chance.uniform(0.3, 6) * 1e6)
        if not sent.answered:
            if event is None:
                break
            continue  # a runaway does not mind
        kept = ask.text_tokens + TOOL_TOKENS
        said, forgot = _remember(said, answer, chance)
        if forgot:
            kept = ask.system.tokens + TOOL_TOKENS
    return at


def _remember(
    said: tuple[Message, ...], answer: Answer, chance: Random
) -> tuple[tuple[Message, ...], bool]:
    """The messages of the next round, and whether older ones had to go."""
    result = wording.document(chance, between(chance, 60, 420))
    call = Message(
        "assistant",
        " ".join(answer.pieces),
        answer.tokens,
        answer.tool,
        answer.call_id,
        answer.query,
    )
    said = (*said, call, Message("tool", result.text, result.tokens, answer.tool, answer.call_id))
    if len(said) <= _REMEMBERED + 1:
        return said, False
    return (said[0], *said[-_REMEMBERED:]), True


def _tool_call(chance: Random) -> Answer:
    words, query = wording.sentences(chance, 1), wording.sentences(chance, 1)
    return Answer(
        words.pieces,
        words.tokens + query.tokens + _CALL_TOKENS,
        "tool",
        tool=chance.choice(TOOLS),
        call_id=f"{chance.getrandbits(96):024x}",
        query=query.text,
    )
