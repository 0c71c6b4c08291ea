"""A feature whose calls pass rules of the proxy: a limit per user, a cache of answers, a canary.

Owns what these rules do with each call, by the same counting as the proxy's. Customers ask a few
questions again and again, some of them hastily; a part of them is served by a smaller model.
Refuses to know what an answer takes and costs; `sending` does.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from math import ceil
from random import Random

from sample_data.generator.asking import answered, asked, user_message
from sample_data.generator.models import GPT_4_1_MINI, GPT_4_1_NANO, Model
from sample_data.generator.people import People, Person
from sample_data.generator.planned import (
    Answer,
    Ask,
    Counted,
    Decided,
    Fate,
    Message,
    Planned,
    Ruled,
)
from sample_data.generator.rhythm import between, starts
from sample_data.generator.sending import Sender, exchange_id

LIMIT, CACHE, CANARY = "help-pace", "help-answers", "help-canary"
MOST, WINDOW_SECONDS = 5, 60
"""So many calls of a user in so many seconds."""
KEPT_SECONDS = 6 * 3600
CANARY_SHARE = 0.25
_QUESTIONS = 14
"""What customers ask on a day; the first of them most."""
_HASTY_SHARE, _HASTY_CALLS = 0.08, (6, 9)
_SECOND = 1_000_000


def ruled(sender: Sender, people: People, day: int, number: int, count: int) -> None:
    chance = sender.chance
    questions = [user_message(chance, sender.feature) for _ in range(_QUESTIONS)]
    weights = [1 / rank for rank in range(1, _QUESTIONS + 1)]
    calls: list[tuple[int, Person, Message]] = []
    for start, person in starts(chance, people, day, number, count):
        at, hasty = start, chance.random() < _HASTY_SHARE
        for _ in range(between(chance, *_HASTY_CALLS) if hasty else 1):
            calls.append((at, person, chance.choices(questions, weights)[0]))
            at += between(chance, 2 * _SECOND, 7 * _SECOND)
    rules = _Rules(sender)
    for at, person, question in sorted(calls, key=lambda call: call[0]):
        ask = asked(sender, at, person, (question,))
        rules.call(ask, answered(chance, ask), person, at)


@dataclass(slots=True)
class _Rules:
    """What the proxy remembers on a day: who called lately, and which answers it has."""

    sender: Sender
    lately: dict[str, deque[int]] = field(default_factory=lambda: defaultdict(deque))
    answers: dict[str, Planned] = field(default_factory=dict)

    def call(self, ask: Ask, answer: Answer, person: Person, at: int) -> None:
        if (refused := self._over(person, at)) is not None:
            self._answer(ask, at, *refused)
            return
        self.lately[person.user_id].append(at)
        question = ask.messages[0].text
        kept = self.answers.get(question)
        age = None if kept is None else (at - _end(kept)) / _SECOND
        if kept is not None and age is not None and 0 <= age < KEPT_SECONDS:
            why = f"the same was asked in {kept.exchange_id}, {age:.0f} s ago"
            hit = Decided("cache", CACHE, "hit", why)
            self._answer(ask, at, Fate("cached"), Ruled((hit,), model=kept.ruled.model, again=kept))
            return
        sent = self.sender.send(ask, answer, at, ruled=_sent(person))
        if sent.answered:
            self.answers[question] = self.sender.made[-1]

    def _over(self, person: Person, at: int) -> tuple[Fate, Ruled] | None:
        """The refusal of a call that is one too many."""
        calls = self.lately[person.user_id]
        while calls and calls[0] <= at - WINDOW_SECONDS * _SECOND:
            calls.popleft()
        if len(calls) < MOST:
            return None
        used = f"100% of {MOST} requests is used by {person.user_id}"
        wait = ceil(WINDOW_SECONDS - (at - calls[0]) / _SECOND)
        message = f"{LIMIT}: {used}. Try again in {wait} s"
        fate = Fate("refused", 429, "limit_reached", message)
        return fate, Ruled((Decided("limit", LIMIT, "refused", used),))

    def _answer(self, ask: Ask, at: int, fate: Fate, ruled: Ruled) -> None:
        """An answer of the proxy's own."""
        chance, again = self.sender.chance, ruled.again
        overhead = round(chance.uniform(0.0003, 0.0012), 6)
        self.sender.made.append(
            Planned(
                exchange_id=exchange_id(chance, at),
                started_at=at,
                ask=ask,
                answer=again.answer if again else Answer((), 0),
                fate=fate,
                counted=Counted(),
                duration_seconds=round(overhead + 0.0002, 6),
                time_to_first_chunk_seconds=overhead if again else None,
                overhead_seconds=overhead,
                ruled=ruled,
            )
        )


def _sent(person: Person) -> Ruled:
    """Where the canary sends a user's calls: always to the same place."""
    is_canary = Random(f"{CANARY} {person.user_id}").random() < CANARY_SHARE
    model: Model = GPT_4_1_NANO if is_canary else GPT_4_1_MINI
    sent = Decided("balance", CANARY, f"sent to {model.provider}/{model.name}", "drawn by user")
    kept = Decided("cache", CACHE, "kept", f"for {KEPT_SECONDS} s")
    return Ruled((sent,), if_whole=kept, model=model)


def _end(planned: Planned) -> int:
    return planned.started_at + round(planned.duration_seconds * _SECOND)
