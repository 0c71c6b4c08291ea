"""Rates: exactly the price list's answer, or none."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics import spending
from proxy.config import Price, Settings
from proxy.facts import Usage
from proxy.limits.plain_usage import PlainUsage
from proxy.limits.rates import Rates

PRICE = spending.price(Settings())
RATES = Rates(PRICE)
MODELS = [
    ("openai", "gpt-4o-mini"),
    ("openai", "gpt-4o"),
    ("openai", "o3-mini"),
    ("openai", "gpt-5"),
    ("gemini", "gemini-2.5-pro"),
    ("deepseek", "deepseek-chat"),
    ("xai", "grok-4"),
    ("perplexity", "sonar-pro"),
    ("groq", "llama-3.3-70b-versatile"),
    ("openai", "nobody-knows"),
]


@settings(deadline=None)
@given(
    st.sampled_from(MODELS),
    st.integers(0, 5_000_000),
    st.integers(0, 500_000),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_a_plain_usage_costs_what_the_price_list_says(
    where: tuple[str, str], given_: int, made: int, cached: float, reasoning: float
) -> None:
    provider, model = where
    used = PlainUsage(model, given_, int(given_ * cached), made, int(made * reasoning))
    found = RATES.plain(provider, model, "chat", used)
    usage = Usage(
        input_tokens=used.given,
        output_tokens=used.made,
        cache_read_tokens=used.cached,
        reasoning_tokens=used.reasoning,
    )
    listed = RATES.exact(provider, model, "chat", usage)
    assert found is None or listed is None or abs(found - listed) < Decimal("1e-11")
    assert found is None or listed is not None or not (given_ or made)


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-4o", "gpt-5"])
def test_ordinary_models_need_no_list_for_each_call(model: str) -> None:
    used = PlainUsage(model, 100_000, 5000, 4000, 100)
    assert RATES.plain("openai", model, "chat", used) is not None


def test_steps_of_a_price_are_left_to_the_list() -> None:
    used = PlainUsage("gemini-2.5-pro", 300_000, 0, 1000, 0)
    assert RATES.plain("gemini", "gemini-2.5-pro", "chat", used) is None


def test_what_has_no_price_has_none() -> None:
    assert RATES.expected("openai", "nobody-knows", "chat", 100, 100) is None
    assert Rates(None).expected("openai", "gpt-4o", "chat", 100, 100) is None


def test_a_price_without_a_price_for_cached_tokens_is_enough_to_hold_something() -> None:
    own = Price(model="house", input_usd_per_mtok=Decimal(1), output_usd_per_mtok=Decimal(2))
    rates = Rates(spending.price(Settings(prices=(own,))))
    assert rates.expected("vllm", "house", "chat", 1_000_000, 1_000_000) == 3
    assert rates.plain("vllm", "house", "chat", PlainUsage("house", 100, 50, 10, 5)) is None
