"""What the tests of prices share: a bill in one call."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from analytics.prices import Cost, PriceBook
from proxy.facts import Usage

BOOK = PriceBook()


def _cost(
    provider: str,
    model: str | None,
    *,
    book: PriceBook = BOOK,
    response_model: str | None = None,
    tier: str | None = None,
    operation: str | None = "chat",
    at: datetime = datetime(2026, 11, 2, 12, 0, tzinfo=UTC),
    **counts: Any,
) -> Cost:
    return book.cost(
        provider=provider,
        request_model=model,
        response_model=response_model,
        usage=Usage(**counts),
        usage_source="provider",
        service_tier=tier,
        operation=operation,
        started_at=at,
    )


@pytest.fixture
def cost() -> Callable[..., Cost]:
    """`cost(provider, model, input_tokens=..., ...)`: what that usage costs."""
    return _cost
