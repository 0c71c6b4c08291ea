"""The words of the sample data: sentences whose tokens can be counted by counting words.

Owns the phrases. Every word here, and every mark, is one token of OpenAI's o200k vocabulary, so
a text's length in tokens is known by plain counting, without a tokenizer. Refuses to choose by
anything but the generator of random numbers it is given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from random import Random
from typing import NamedTuple

_SUBJECTS = (
    "The parcel",
    "Our last invoice",
    "The north office",
    "A new customer",
    "The return label",
    "This plan",
    "The driver",
    "Our contract",
    "The second delivery",
    "The price list",
    "A large order",
    "The support team",
    "The weekly report",
    "Your account",
    "The payment",
    "The warehouse",
    "Each shipment",
    "The summer schedule",
    "The other route",
    "That address",
)
_PREDICATES = (
    "was moved to the next day",
    "does not match the order",
    "needs a second check",
    "came back without a reason",
    "was sent to the wrong place",
    "is still open",
    "changed after the call",
    "has to be paid by Friday",
    "went out two days late",
    "shows a different total",
    "was not found in the system",
    "can be closed now",
    "should be read again",
    "costs more than before",
    "is part of the old agreement",
    "was written by hand",
)
_TAILS = (
    "because the form was not complete",
    "and nobody has asked about it yet",
    "so we will call the customer first",
    "although the notes say something else",
    "and the office knows about it",
    "which is fine for small orders",
    "until the next review in the spring",
    "as the team had said before",
    "and it will be the same next month",
    "but only for the first three boxes",
    "since the rules were changed",
    "when the truck is full",
    "and that is why we wait",
    "if the weather stays like this",
    "without any word from the seller",
    "before the end of the month",
)
_INSTRUCTIONS = (
    "You work for a company that moves parcels.",
    "Answer in the language of the customer.",
    "Be short and kind.",
    "Never promise a date that is not in the notes.",
    "If you do not know, say so.",
    "Use plain words and no lists.",
    "Ask one question at most.",
    "Give the total with its currency.",
    "Do not repeat the question.",
    "Keep names as they are written.",
    "Refer to the order by its number.",
    "Leave out what was not asked.",
    "Check the address before you answer.",
    "Tell the customer what happens next.",
    "Mark everything that looks wrong.",
    "Read the whole text first.",
)
_QUESTIONS = (
    "What should we do next?",
    "Can you explain that to me?",
    "Is there a faster way?",
    "Who has to know about this?",
    "How much will it cost?",
    "When can I expect an answer?",
    "Which of the two is right?",
    "Why was it changed?",
)
LABELS = ("billing", "delivery", "return", "account", "other")
BRIEFLY = "Please be brief."

_PIECE = re.compile(r"[A-Za-z]+|[.,?]")
_POOL_SIZE = 4096
_PARAGRAPHS = 512


class Text(NamedTuple):
    """Words and how many tokens they are; `pieces` are its sentences or paragraphs."""

    text: str
    tokens: int
    pieces: tuple[str, ...]


def count(text: str) -> int:
    """Tokens of a text made of these words."""
    return len(_PIECE.findall(text))


def sentences(chance: Random, number: int) -> Text:
    """So many sentences of news about parcels."""
    return _joined(chance.choices(_pool(), k=number))


def question(chance: Random, number: int) -> Text:
    """Some sentences, then a question about them."""
    asked = chance.choice(_questions())
    return _joined([*chance.choices(_pool(), k=number), asked])


def document(chance: Random, tokens: int) -> Text:
    """A long text of about so many tokens."""
    return _joined(chance.choices(_paragraphs(), k=max(1, round(tokens / _PARAGRAPH_TOKENS))))


_PARAGRAPH_TOKENS = 117
"""What eight sentences have on average."""


@cache
def instructions(name: str, tokens: int) -> Text:
    """The system prompt of that name: always the same, at least so many tokens long."""
    chance = Random(f"instructions of {name}")
    chosen = [_counted(text) for text in chance.sample(_INSTRUCTIONS, 8)]
    while sum(length for _, length in chosen) < tokens:
        chosen.append(chance.choice(_pool()))
    return _joined(chosen)


def _joined(counted: Sequence[tuple[str, int]]) -> Text:
    texts, lengths = zip(*counted, strict=True)
    return Text(" ".join(texts), sum(lengths), texts)


def _counted(text: str) -> tuple[str, int]:
    return text, count(text)


@cache
def _questions() -> tuple[tuple[str, int], ...]:
    return tuple(map(_counted, _QUESTIONS))


@cache
def _pool() -> tuple[tuple[str, int], ...]:
    every = [
        f"{subject} {predicate} {tail}."
        for subject in _SUBJECTS
        for predicate in _PREDICATES
        for tail in _TAILS
    ]
    return tuple(map(_counted, Random("sentences").sample(every, _POOL_SIZE)))


@cache
def _paragraphs() -> tuple[tuple[str, int], ...]:
    chance = Random("paragraphs")
    made = [_joined(chance.choices(_pool(), k=8)) for _ in range(_PARAGRAPHS)]
    return tuple((each.text, each.tokens) for each in made)
