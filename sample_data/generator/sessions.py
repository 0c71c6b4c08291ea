"""How sessions unfold: single calls, conversations, nightly jobs, indexing.

Owns who asks, in which order, and how a prompt grows. Each kind is one function that plans the
sessions of a day. Refuses to know timings and errors; `sending` does.
"""

from __future__ import annotations

from sample_data.generator import wording
from sample_data.generator.asking import (
    answered,
    asked,
    new_session,
    some_environment,
    user_message,
)
from sample_data.generator.people import People
from sample_data.generator.planned import Answer, Ask, Flags, Message
from sample_data.generator.rhythm import HOUR, between, some_moment, starts
from sample_data.generator.sending import Sender

_DUPLICATE_SHARE, _NEAR_DUPLICATE_SHARE = 0.35, 0.2


def single(sender: Sender, people: People, day: int, number: int, count: int) -> None:
    chance = sender.chance
    for at, person in starts(chance, people, day, number, count):
        ask = asked(sender, at, person, (user_message(chance, sender.feature),))
        sender.send(ask, answered(chance, ask), at)


def conversation(sender: Sender, people: People, day: int, number: int, count: int) -> None:
    """Chats: each turn sends all that was said before."""
    chance, feature = sender.chance, sender.feature
    for start, person in starts(chance, people, day, number, count):
        at, kept = start, 0
        said: tuple[Message, ...] = ()
        session = new_session(chance, feature)
        model_draw, environment = chance.random(), some_environment(chance)
        for _ in range(between(chance, *feature.turns)):
            said = (*said, user_message(chance, feature))
            ask = asked(
                sender,
                at,
                person,
                said,
                session_id=session,
                environment=environment,
                draw=model_draw,
            )
            answer = answered(chance, ask)
            sent = sender.send(ask, answer, at, kept=kept)
            if not sent.answered:
                break
            kept = ask.text_tokens
            said = (*said, Message("assistant", " ".join(answer.pieces), answer.tokens))
            at = sent.ended_at + round(chance.lognormvariate(3.2, 0.7) * 1e6)


def nightly(sender: Sender, _people: People, day: int, _number: int, count: int) -> None:
    """A job that asks the same things again: exactly, or all but exactly."""
    chance, feature = sender.chance, sender.feature
    at, session = day + 2 * HOUR + chance.randrange(HOUR // 6), new_session(chance, feature)
    done: list[tuple[Ask, Answer, str]] = []
    for _ in range(count):
        ask = _batched(sender, at, user_message(chance, feature), session=session)
        answer = answered(chance, ask)
        sent = sender.send(ask, answer, at)
        done.append((ask, answer, sent.exchange_id))
        at = sent.ended_at + chance.randrange(2_000_000)
    for ask, answer, first in done:
        draw = chance.random()
        if draw < _DUPLICATE_SHARE:
            sent = sender.send(ask, answer, at, flags=Flags(duplicate_of=first))
        elif draw < _DUPLICATE_SHARE + _NEAR_DUPLICATE_SHARE:
            near = _batched(sender, at, _longer(ask.messages[0]), session=session)
            sent = sender.send(near, answer, at, flags=Flags(near_duplicate_of=first))
        else:
            continue
        at = sent.ended_at + chance.randrange(2_000_000)


def embeddings(sender: Sender, _people: People, day: int, _number: int, count: int) -> None:
    """Batches of texts, indexed through the day."""
    chance, feature = sender.chance, sender.feature
    for at in sorted(some_moment(chance, day, None) for _ in range(count)):
        texts = [
            wording.sentences(chance, between(chance, *feature.asks))
            for _ in range(between(chance, *feature.turns))
        ]
        messages = tuple(Message("user", text.text, text.tokens) for text in texts)
        ask = _batched(sender, at, *messages, session=new_session(chance, feature))
        sender.send(ask, Answer((), 0), at)


def _batched(sender: Sender, at: int, *messages: Message, session: str) -> Ask:
    """What a job asks, on nobody's behalf."""
    return asked(sender, at, None, messages, session_id=session, environment="production")


def _longer(message: Message) -> Message:
    text = f"{message.text} {wording.BRIEFLY}"
    return message._replace(text=text, tokens=message.tokens + wording.count(wording.BRIEFLY))
