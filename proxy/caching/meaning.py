"""What means the same: questions in other words, and whether their answers agree.

Owns finding the kept answer to a question alike, learning new questions, and the comparison of what
would have been served with what was really answered. A hit is false where the two answers are
neither the same words nor alike in their vectors. Refuses to serve: the policy does.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, NamedTuple

from proxy.caching import last_words, request_key, soundness
from proxy.caching.answers import Answer
from proxy.caching.embedding import Embeddings
from proxy.caching.request_key import GENERATED
from proxy.caching.trust import Trust
from proxy.caching.vectors import Vector, Vectors, likeness
from proxy.calls.asked import Asked
from proxy.calls.call import Call
from proxy.memory import Memory
from proxy.rules.choosing import Ready
from proxy.rules.settings import Cache, Semantic

COMPARED_CHARACTERS = 8_000
"""Of each answer."""
COMPARING_SECONDS = 30.0
MOST_TRIED = 5
"""Of the nearest questions; the answers of some may be gone."""
Kept = Callable[[bytes], Answer | None]
"""The answer kept under a key, where it may be given to the call."""
Told = Callable[[Call, list[Vector] | None], None]
"""Told an exchange of the proxy's own, before its record is closed, and the vectors it brought."""
Work = Coroutine[Any, Any, Any]


class Question(NamedTuple):
    """The user's last words, and what must be the same beside them."""

    text: str
    group: bytes


class Alike(NamedTuple):
    """A kept answer to a question that means the same, and how alike it is."""

    answer: Answer
    likeness: float


def question_of(call: Call, rule: Cache) -> Question | None:
    """The question of a call, where the rule looks for meaning and there is one."""
    if rule.semantic is None or call.asked.operation not in GENERATED:
        return None
    found = last_words.of(call.asked.document)
    if found is None:
        return None
    return Question(found.text, request_key.of(call, rule, found.rest))


class Meaning:
    """Knows the questions that semantic rules have seen."""

    def __init__(self, memory: Memory, embeddings: Embeddings) -> None:
        self._memory = memory
        self._embeddings = embeddings
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self, work: Work) -> None:
        """Have it done while the call goes on."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def may_serve(self, ready: Ready[Cache]) -> tuple[bool, str]:
        """Whether a hit may be served to this call, else why not."""
        rule = semantic(ready)
        why_not = self._memory.of(Trust, ready.name).why_not(rule)
        if why_not is None and random.random() < rule.verify_share:
            why_not = "asked all the same, for a comparison"
        return why_not is None, why_not or ""

    def nearest(
        self, asked: Asked, ready: Ready[Cache], question: Question, vector: Vector, kept: Kept
    ) -> Alike | None:
        """The kept answer to the nearest question that is near enough."""
        known = self._memory.of(Vectors, ready.name)
        found = known.near(question.group, vector, semantic(ready).threshold)
        for _, near in zip(range(MOST_TRIED), found, strict=False):
            answer = kept(near.key)
            if answer is not None and _said(asked, answer) is not None:
                return Alike(answer, near.likeness)
        return None

    def learn(self, ready: Ready[Cache], question: Question, vector: Vector, key: bytes) -> None:
        """Remember the question of the answer that is kept under this key."""
        self._memory.of(Vectors, ready.name).add(question.group, vector, key)

    def vectors(
        self, call: Call, ready: Ready[Cache], texts: Sequence[str], seconds: float, told: Told
    ) -> Work | None:
        """Get the vectors of these texts, in an exchange of its own; None where it cannot be."""
        asking = self._embeddings.prepared(call, ready.name, semantic(ready).embed, texts)
        if asking is None:
            return None
        return self._embeddings.ask(asking, len(texts), seconds, partial(told, asking))

    def compare(self, record: Call, ready: Ready[Cache], served: Answer, real: Answer) -> None:
        """Compare what would have been served with the real answer.

        The same words are noted in this record; where they are others their vectors tell, in an
        exchange of its own that has the verdict.
        """
        texts = [_said(record.asked, served), _said(record.asked, real)]
        if texts[0] is None or texts[1] is None:
            return
        if _plain(texts[0]) == _plain(texts[1]):
            self._judge(record, ready, "the same words as", served.exchange_id, false=False)
            return

        def told(own: Call, found: list[Vector] | None) -> None:
            if found is not None:
                alike = likeness(*found)
                words = f"{real.exchange_id} has an answer {alike:.3f} alike to"
                false = alike < semantic(ready).alike
                self._judge(own, ready, words, served.exchange_id, false=false)

        words = [text[:COMPARED_CHARACTERS] for text in texts if text is not None]
        if (work := self.vectors(record, ready, words, COMPARING_SECONDS, told)) is not None:
            self.begin(work)

    def _judge(
        self, record: Call, ready: Ready[Cache], found: str, served: str, *, false: bool
    ) -> None:
        trust = self._memory.of(Trust, ready.name)
        trust.false.append(false)
        action = "false hit" if false else "right hit"
        so_far = f"{sum(trust.false)} of {len(trust.false)} hits were false"
        record.decide("cache", ready.name, action, f"{found} that of {served}; {so_far}")


def _said(asked: Asked, answer: Answer) -> str | None:
    """The words of a sound answer that calls no tool: a call's arguments hang on every word."""
    facts = soundness.facts_of(asked, answer)
    if facts is None or facts.tool_names or facts.tool_call_count or facts.text is None:
        return None
    return facts.text() or None


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def semantic(ready: Ready[Cache]) -> Semantic:
    assert ready.does.semantic is not None
    return ready.does.semantic
