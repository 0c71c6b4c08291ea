"""What is asked and answered: the request of a feature at a moment, and the words in it.

Owns system prompts with their versions, user messages, answers and labels drawn at random.
Refuses to know how a session goes on.
"""

from __future__ import annotations

from random import Random

from sample_data.generator import wording
from sample_data.generator.features import Feature
from sample_data.generator.models import Model
from sample_data.generator.people import Person
from sample_data.generator.planned import UNTRACED, Answer, Ask, Message, Trace
from sample_data.generator.rhythm import between, moment
from sample_data.generator.sending import Sender
from sample_data.generator.wording import Text

_PRODUCTION_SHARE, _STAGING_SHARE = 0.86, 0.09


def asked(
    sender: Sender,
    at: int,
    person: Person | None,
    messages: tuple[Message, ...],
    *,
    session_id: str | None = None,
    environment: str | None = None,
    trace: Trace | None = None,
    model: Model | None = None,
    draw: float | None = None,
) -> Ask:
    feature, events, chance = sender.feature, sender.events, sender.chance
    version = events.prompt_version(feature, at)
    system = wording.instructions(str(feature.name), events.system_tokens(feature, version))
    if feature.stamped:
        system = _begun_with(f"Now it is {moment(at):%Y-%m-%d %H:%M:%S} UTC.", 18, system)
    elif not events.cache_works(feature, at) and person is not None:
        system = _begun_with(f"The customer is {person.user_id}.", 9, system)
    if model is None:
        model = events.model(feature, at, chance.random() if draw is None else draw)
    is_tagged = feature.name is not None
    return Ask(
        feature=feature,
        model=model,
        version=version,
        system=system,
        messages=messages,
        person=person if is_tagged else None,
        session_id=session_id,
        environment=(environment or some_environment(chance)) if is_tagged else None,
        trace=trace or UNTRACED,
        limit=feature.limit,
    )


def _begun_with(line: str, tokens: int, system: Text) -> Text:
    return Text(f"{line} {system.text}", system.tokens + tokens, ())


def user_message(chance: Random, feature: Feature) -> Message:
    asked = wording.question(chance, between(chance, *feature.asks))
    if feature.document_tokens is None:
        return Message("user", asked.text, asked.tokens)
    read = wording.document(chance, between(chance, *feature.document_tokens))
    return Message("user", f"{read.text} {asked.text}", read.tokens + asked.tokens)


def answered(chance: Random, ask: Ask) -> Answer:
    feature = ask.feature
    reasoning = 64 * between(chance, 1, 9) if ask.model.reasons else 0
    if feature.answers == (0, 0):
        return Answer((chance.choice(wording.LABELS),), 1)
    said = wording.sentences(chance, between(chance, *feature.answers))
    if chance.random() >= feature.cut_share:
        return Answer(said.pieces, said.tokens, reasoning_tokens=reasoning)
    reasoning = min(reasoning, feature.limit // 2)
    return Answer(said.pieces, feature.limit - reasoning, "length", reasoning)


def new_session(chance: Random, feature: Feature) -> str:
    return f"{feature.name}-{chance.getrandbits(40):010x}"


def some_environment(chance: Random) -> str:
    draw = chance.random()
    if draw < _PRODUCTION_SHARE:
        return "production"
    return "staging" if draw < _PRODUCTION_SHARE + _STAGING_SHARE else "development"
