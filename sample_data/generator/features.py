"""The features of an imagined product.

Owns these constants: how often, how long, with which model, in which way. Refuses to know what
happens on a given day; that is `events` and `plan`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sample_data.generator.models import (
    EMBEDDING,
    GEMINI_PRO,
    GPT_4_1,
    GPT_4_1_MINI,
    GPT_4O_MINI,
    GPT_5_MINI,
    GPT_OSS,
    HAIKU,
    HOUSE_GUARD,
    MISTRAL_SMALL,
    OPUS,
    SONNET,
    Model,
)

Kind = Literal["single", "conversation", "agent", "nightly", "embeddings", "ruled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """What one feature calls. Lengths are (least, most); sessions are those of a working day."""

    name: str | None
    kind: Kind
    model: Model
    sessions: float
    system_tokens: int
    asks: tuple[int, int] = (1, 3)
    """Sentences that a user writes."""
    document_tokens: tuple[int, int] | None = None
    """What comes with the question, to be read."""
    answers: tuple[int, int] = (2, 6)
    """Sentences of an answer; (0, 0) is one word."""
    turns: tuple[int, int] = (1, 1)
    stream: bool = False
    limit: int = 1000
    """Output tokens allowed, where an answer never gets near it."""
    cut_share: float = 0.0
    """Answers that the limit cuts."""
    weekend: float = 0.4
    """Of a working day's sessions."""
    stamped: bool = False
    """Its prompt begins with the time of day, so no cache ever hits."""
    keeps_hour: bool = False
    """It asks the provider to keep its prompt for an hour."""
    tools: bool = False
    user_in_body: bool = False
    asks_usage: bool = True
    """Whether it asks for the usage of its streams, where providers want to be asked."""
    client: str = "OpenAI/Python 3.54.0"


CHAT = Feature(
    name="chat",
    kind="conversation",
    model=GPT_4_1,
    sessions=46,
    system_tokens=1150,
    turns=(1, 8),
    stream=True,
    weekend=0.55,
)
SEARCH = Feature(
    name="search",
    kind="single",
    model=GPT_4O_MINI,
    sessions=140,
    system_tokens=300,
    answers=(1, 3),
    user_in_body=True,
    client="OpenAI/JS 6.2.0",
)
SUMMARISE = Feature(
    name="summarise",
    kind="single",
    model=HAIKU,
    sessions=62,
    system_tokens=160,
    document_tokens=(700, 3500),
    answers=(6, 20),
    limit=400,
    cut_share=0.06,
    client="Anthropic/Python 2.12.0",
)
AGENT = Feature(
    name="agent",
    kind="agent",
    model=SONNET,
    sessions=13,
    system_tokens=1500,
    answers=(1, 3),
    turns=(4, 14),
    stream=True,
    limit=4000,
    weekend=0.25,
    tools=True,
    client="Anthropic/Python 2.12.0",
)
KNOWLEDGE = Feature(
    name="knowledge",
    kind="single",
    model=HAIKU,
    sessions=85,
    system_tokens=4300,
    document_tokens=(250, 700),
    answers=(2, 7),
    stream=True,
    keeps_hour=True,
    client="Anthropic/JS 0.70.0",
)
CLASSIFY = Feature(
    name="classify",
    kind="single",
    model=OPUS,
    sessions=90,
    system_tokens=130,
    asks=(3, 6),
    answers=(0, 0),
    limit=16,
    client="Anthropic/Python 2.12.0",
)
EXTRACT = Feature(
    name="extract",
    kind="single",
    model=GEMINI_PRO,
    sessions=60,
    system_tokens=220,
    document_tokens=(500, 1600),
    answers=(2, 5),
    limit=1024,
    cut_share=0.07,
    client="google-genai-sdk/3.4.0",
)
TRANSLATE = Feature(
    name="translate",
    kind="single",
    model=MISTRAL_SMALL,
    sessions=70,
    system_tokens=120,
    document_tokens=(120, 600),
    answers=(8, 30),
    stream=True,
    limit=2000,
    client="mistral-client-python/2.1.0",
)
BRIEFING = Feature(
    name="briefing",
    kind="single",
    model=GPT_4_1_MINI,
    sessions=55,
    system_tokens=1700,
    answers=(5, 12),
    weekend=0.1,
    stamped=True,
)
ROUTING = Feature(
    name="routing",
    kind="single",
    model=GPT_OSS,
    sessions=45,
    system_tokens=240,
    answers=(1, 2),
)
MODERATE = Feature(
    name="moderate",
    kind="single",
    model=HOUSE_GUARD,
    sessions=60,
    system_tokens=100,
    answers=(0, 0),
    limit=8,
    client="python-httpx/0.28.1",
)
NIGHTLY = Feature(
    name="nightly-report",
    kind="nightly",
    model=GPT_5_MINI,
    sessions=32,
    system_tokens=400,
    document_tokens=(200, 900),
    answers=(5, 14),
    limit=4000,
    weekend=1.0,
)
INDEX = Feature(
    name="index",
    kind="embeddings",
    model=EMBEDDING,
    sessions=22,
    system_tokens=0,
    asks=(6, 14),
    turns=(4, 12),
    weekend=0.5,
)
HELP = Feature(
    name="help",
    kind="ruled",
    model=GPT_4_1_MINI,
    sessions=30,
    system_tokens=1100,
    answers=(2, 5),
    weekend=0.6,
)
DRAFT = Feature(
    name="draft",
    kind="single",
    model=GPT_4O_MINI,
    sessions=26,
    system_tokens=180,
    answers=(4, 10),
    stream=True,
    weekend=0.2,
    asks_usage=False,
    client="OpenAI/JS 6.2.0",
)
UNTAGGED = Feature(
    name=None,
    kind="single",
    model=GPT_4_1,
    sessions=34,
    system_tokens=60,
    answers=(3, 9),
    weekend=0.3,
    client="python-requests/2.32.5",
)
FEATURES = (
    *(CHAT, SEARCH, SUMMARISE, AGENT, KNOWLEDGE, CLASSIFY, EXTRACT, TRANSLATE, BRIEFING),
    *(ROUTING, MODERATE, NIGHTLY, INDEX, HELP, DRAFT, UNTAGGED),
)
