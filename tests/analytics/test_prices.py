"""From usage to cost: precedence, status, provenance, and that nothing is charged twice."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.prices import Cost, PriceBook
from proxy.facts import Pass, Usage

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
BOOK = PriceBook()


def cost(
    provider: str,
    model: str | None,
    *,
    book: PriceBook = BOOK,
    response_model: str | None = None,
    tier: str | None = None,
    operation: str | None = "chat",
    at: datetime = NOW,
    estimated: bool = False,
    **counts: Any,
) -> Cost:
    return book.cost(
        provider=provider,
        request_model=model,
        response_model=response_model,
        usage=Usage(**counts),
        usage_source="estimated" if estimated else "provider",
        service_tier=tier,
        operation=operation,
        started_at=at,
    )


def mtok(tokens: int, dollars_per_mtok: str) -> Decimal:
    return tokens * Decimal(dollars_per_mtok) / 1_000_000


def test_the_model_that_answered_decides_then_the_one_asked_for() -> None:
    counts: dict[str, Any] = {"input_tokens": 1000, "output_tokens": 0}
    answered = cost("openai", "gpt-4o", response_model="gpt-4o-mini-2024-07-18", **counts)
    assert answered.cost_usd == mtok(1000, "0.15")
    unknown = cost("openai", "gpt-4o", response_model="experimental-9000", **counts)
    assert unknown.cost_usd == mtok(1000, "2.50")
    deployment = cost("azure", "our-deployment", response_model="gpt-4o-2024-11-20", **counts)
    assert deployment.cost_usd == mtok(1000, "2.50")


def test_the_providers_own_figure_comes_first() -> None:
    usd = Decimal("0.0123456789012345")
    bill = cost("openrouter", "openai/gpt-4o", input_tokens=1, output_tokens=1, cost_usd=usd)
    assert bill.cost_usd == Decimal("0.012345678901")
    assert (bill.cost_status, bill.input_cost_usd) == ("provider_reported", None)
    assert bill.price_ref == "openrouter:reported"


def test_a_reported_cost_of_zero_is_a_cost() -> None:
    bill = cost("openrouter", "x/y", input_tokens=1, output_tokens=1, cost_usd=Decimal(0))
    assert (bill.cost_usd, bill.cost_status) == (Decimal(0), "provider_reported")


@pytest.mark.parametrize("usd", ["NaN", "Infinity", "-1", "1e30"])
def test_a_reported_cost_that_makes_no_sense_is_ignored(usd: str) -> None:
    bill = cost("openai", "gpt-4o", input_tokens=1000, output_tokens=0, cost_usd=Decimal(usd))
    assert (bill.cost_usd, bill.cost_status) == (mtok(1000, "2.50"), "priced")


def test_an_estimate_of_usage_gives_an_estimate_of_cost() -> None:
    bill = cost("openai", "gpt-4o", estimated=True, input_tokens=1000, output_tokens=100)
    assert (bill.cost_usd, bill.cost_status) == (Decimal("0.0035"), "estimated")


def test_an_unknown_side_makes_the_cost_partial() -> None:
    bill = cost("openai", "gpt-4o", input_tokens=1000)
    assert (bill.cost_usd, bill.cost_status) == (mtok(1000, "2.50"), "partial")
    assert bill.output_cost_usd is None
    assert cost("openai", "gpt-4o", output_tokens=10).input_cost_usd is None


@pytest.mark.parametrize("operation", ["count_tokens", "models", "files", "batches"])
def test_operations_that_bill_nothing_have_no_cost(operation: str) -> None:
    assert cost("openai", "gpt-4o", operation=operation, input_tokens=5) == Cost()


def test_usage_first_seen_in_a_fetched_answer_is_charged() -> None:
    bill = cost("openai", "gpt-4o", operation="retrieve", input_tokens=1000, output_tokens=0)
    assert bill.cost_usd == mtok(1000, "2.50")


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ("chat", "unpriced"),
        ("generate_content", "unpriced"),
        ("embeddings", "unpriced"),
        ("image_generation", "unpriced"),
        ("transcription", "unpriced"),
        ("count_tokens", None),
        ("retrieve", None),
        ("retrieve_response", None),
        ("list_models", None),
        (None, None),
    ],
)
def test_unknown_usage_is_unpriced_where_the_call_is_billed(
    operation: str | None, status: str | None
) -> None:
    bill = BOOK.cost(
        provider="openai",
        request_model="gpt-4o",
        response_model=None,
        usage=None,
        usage_source=None,
        service_tier=None,
        operation=operation,
        started_at=NOW,
    )
    assert bill.cost_status == status
    assert bill.cost_usd is None


def test_usage_without_a_number_is_unpriced_and_no_usage_costs_nothing() -> None:
    assert cost("openai", "gpt-4o", raw={"odd": 1}).cost_status == "unpriced"
    nothing = cost("openai", "gpt-4o", input_tokens=0, output_tokens=0)
    assert (nothing.cost_usd, nothing.cost_status) == (Decimal(0), "priced")


def test_counts_that_contradict_each_other_are_partial_and_never_negative() -> None:
    bill = cost("openai", "gpt-4o", input_tokens=100, cache_read_tokens=400, output_tokens=10)
    assert bill.cost_status == "partial"
    assert bill.input_cost_usd == mtok(400, "1.25")


def test_a_pass_of_another_model_is_charged_at_that_models_price() -> None:
    # claude.com/pricing: Sonnet 4.5 3 / 15, Haiku 4.5 1 / 5
    part = Pass(model="claude-haiku-4-5", usage=Usage(input_tokens=400, output_tokens=50))
    bill = cost(
        "anthropic", "claude-sonnet-4-5", input_tokens=1000, output_tokens=150, passes=(part,)
    )
    assert bill.input_cost_usd == mtok(600, "3") + mtok(400, "1")
    assert bill.output_cost_usd == mtok(100, "15") + mtok(50, "5")
    assert bill.cost_status == "priced"
    assert bill.price_ref is not None
    assert "claude-sonnet-4-5" in bill.price_ref
    assert "claude-haiku-4-5" in bill.price_ref


def test_a_pass_without_a_price_makes_the_cost_partial() -> None:
    part = Pass(model="unheard-of", usage=Usage(input_tokens=400, output_tokens=50))
    bill = cost(
        "anthropic", "claude-sonnet-4-5", input_tokens=1000, output_tokens=150, passes=(part,)
    )
    assert (bill.input_cost_usd, bill.cost_status) == (mtok(600, "3"), "partial")


@pytest.mark.parametrize(
    "counts",
    [
        {"input_tokens": 10**40, "output_tokens": 1},
        {"input_tokens": 10**12, "output_tokens": 1},
        {"input_tokens": "12", "output_tokens": 1},
        {"input_tokens": 1, "output_tokens": 1, "cost_usd": "free"},
    ],
)
def test_a_fault_inside_leaves_the_exchange_unpriced(counts: dict[str, Any]) -> None:
    bill = cost("openai", "gpt-4o", **counts)
    assert (bill.cost_usd, bill.cost_status) == (None, "unpriced")


CLASSES = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "cached_audio_input_tokens",
    "image_input_tokens",
    "image_output_tokens",
    "web_searches",
)
tokens = st.none() | st.integers(min_value=-5, max_value=400_000)


@given(
    model=st.sampled_from(["gpt-4o", "claude-sonnet-4-5", "gemini-2.5-pro", "gpt-realtime", "x"]),
    tier=st.sampled_from([None, "batch", "priority", "nonsense"]),
    counts=st.fixed_dictionaries(
        dict.fromkeys(
            (
                "input_tokens",
                "output_tokens",
                "cache_read_tokens",
                "cache_write_tokens",
                "cache_write_1h_tokens",
                "reasoning_tokens",
                "audio_input_tokens",
                "audio_output_tokens",
                "cached_audio_input_tokens",
                "image_input_tokens",
                "image_output_tokens",
                "web_searches",
            ),
            tokens,
        )
    ),
)
def test_any_counts_give_a_sum_that_adds_up(
    model: str, tier: str | None, counts: dict[str, Any]
) -> None:
    bill = cost("demo", model, tier=tier, **counts)
    sides = [usd for usd in (bill.input_cost_usd, bill.output_cost_usd) if usd is not None]
    assert all(usd >= 0 for usd in sides)
    assert bill.cost_usd == (sum(sides) if sides else None)
    assert (bill.cost_usd is None) == (bill.cost_status == "unpriced")
    if bill.cost_usd is not None:
        assert bill.cost_usd.as_tuple().exponent == -12


def test_price_lists_are_read_only_when_a_price_is_asked_for() -> None:
    program = "import sys, analytics.prices; print('genai_prices' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ran.stdout.strip(), ran.stderr) == ("False", "")
