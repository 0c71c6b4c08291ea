"""The models that the imagined product calls, as their providers serve them.

Owns these constants: names, paths, what is cached and how fast they answer. Prices are elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Speaks = Literal["openai", "anthropic", "gemini", "embeddings"]
Caching = Literal["none", "automatic", "marked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model as one provider serves it, and how fast."""

    provider: str
    name: str
    full_name: str
    """As answers name it."""
    speaks: Speaks
    target: str = "/v1/chat/completions"
    """The path of a call."""
    caching: Caching = "none"
    reasons: bool = False
    lead_seconds: float = 0.5
    tokens_per_second: float = 80.0


GPT_4_1 = Model(
    provider="openai",
    name="gpt-4.1",
    full_name="gpt-4.1-2025-04-14",
    speaks="openai",
    caching="automatic",
)
GPT_4O_MINI = Model(
    provider="openai",
    name="gpt-4o-mini",
    full_name="gpt-4o-mini-2024-07-18",
    speaks="openai",
    caching="automatic",
    lead_seconds=0.4,
    tokens_per_second=95.0,
)
GPT_4_1_MINI = Model(
    provider="openai",
    name="gpt-4.1-mini",
    full_name="gpt-4.1-mini-2025-04-14",
    speaks="openai",
    caching="automatic",
    lead_seconds=0.45,
)
GPT_4_1_NANO = Model(
    provider="openai",
    name="gpt-4.1-nano",
    full_name="gpt-4.1-nano-2025-04-14",
    speaks="openai",
    caching="automatic",
    lead_seconds=0.3,
    tokens_per_second=140.0,
)
GPT_5_MINI = Model(
    provider="openai",
    name="gpt-5-mini",
    full_name="gpt-5-mini-2025-08-07",
    speaks="openai",
    caching="automatic",
    reasons=True,
    lead_seconds=0.8,
    tokens_per_second=110.0,
)
EMBEDDING = Model(
    provider="openai",
    name="text-embedding-3-small",
    full_name="text-embedding-3-small",
    speaks="embeddings",
    target="/v1/embeddings",
    lead_seconds=0.15,
)
HAIKU = Model(
    provider="anthropic",
    name="claude-haiku-4-5",
    full_name="claude-haiku-4-5-20251001",
    speaks="anthropic",
    target="/v1/messages",
    caching="marked",
    tokens_per_second=130.0,
)
SONNET = Model(
    provider="anthropic",
    name="claude-sonnet-4-5",
    full_name="claude-sonnet-4-5-20250929",
    speaks="anthropic",
    target="/v1/messages",
    caching="marked",
    lead_seconds=0.9,
    tokens_per_second=65.0,
)
OPUS = Model(
    provider="anthropic",
    name="claude-opus-4-1",
    full_name="claude-opus-4-1-20250805",
    speaks="anthropic",
    target="/v1/messages",
    caching="marked",
    lead_seconds=1.3,
    tokens_per_second=45.0,
)
GEMINI_PRO = Model(
    provider="gemini",
    name="gemini-2.5-pro",
    full_name="gemini-2.5-pro",
    speaks="gemini",
    target="/v1beta/models/gemini-2.5-pro:generateContent",
    reasons=True,
    lead_seconds=1.5,
    tokens_per_second=90.0,
)
GEMINI_FLASH = Model(
    provider="gemini",
    name="gemini-2.5-flash",
    full_name="gemini-2.5-flash",
    speaks="gemini",
    target="/v1beta/models/gemini-2.5-flash:generateContent",
    reasons=True,
    lead_seconds=0.6,
    tokens_per_second=150.0,
)
MISTRAL_SMALL = Model(
    provider="mistral",
    name="mistral-small-latest",
    full_name="mistral-small-latest",
    speaks="openai",
    lead_seconds=0.35,
    tokens_per_second=110.0,
)
GPT_OSS = Model(
    provider="bedrock",
    name="openai.gpt-oss-120b-1:0",
    full_name="openai.gpt-oss-120b-1:0",
    speaks="openai",
    target="/openai/v1/chat/completions",
    tokens_per_second=140.0,
)
HOUSE_GUARD = Model(
    provider="vllm",
    name="house-guard-8b",
    full_name="house-guard-8b",
    speaks="openai",
    lead_seconds=0.08,
    tokens_per_second=60.0,
)
