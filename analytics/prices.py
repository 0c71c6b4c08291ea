"""From usage to cost, with provenance.

Owns the order of precedence (the provider's own figure, the user's prices, list prices), the
status of a cost and its rounding. Refuses to show a guess as a price: what has no price is left
out and the status says so. Never raises; a fault inside leaves the exchange unpriced.

    >>> from datetime import UTC, datetime
    >>> book = PriceBook()
    >>> book.cost(
    ...     provider="openai", request_model="gpt-4o", response_model=None,
    ...     usage=Usage(input_tokens=1_000_000, output_tokens=0), usage_source="provider",
    ...     service_tier=None, operation="chat", started_at=datetime(2026, 1, 1, tzinfo=UTC),
    ... ).cost_usd
    Decimal('2.500000000000')
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from analytics.pricing.catalogue import Terms, find_rates, tier_word, turns
from analytics.pricing.counts import count, without
from analytics.pricing.overrides import PriceOverride, override_rates
from analytics.pricing.rates import Rates, Sum, apply
from proxy.config import Settings
from proxy.exchange import CostStatus, UsageSource
from proxy.facts import Usage

__all__ = ["Cost", "PriceBook", "PriceOverride"]

_log = logging.getLogger(__name__)

_PICODOLLAR = Decimal("1e-12")
_LIMIT = Decimal(1_000_000)
"""DECIMAL(18,12), the column's type, holds less than this."""

# Words in the names of operations: those that bill nothing, and those that bill even where the
# answer says nothing of usage. Fetching an answer bills nothing by itself, but it may be the first
# to say what the answer used.
_FREE = frozenset({"count", "list", "models", "files", "upload", "batches", "items", "tokenize"})
_FETCHES = frozenset({"retrieve", "get", "delete", "cancel"})
_BILLED = frozenset(
    {"chat", "text", "completion", "generate", "message", "messages", "response", "responses"}
    | {"embeddings", "rerank", "image", "video", "speech", "audio", "transcription", "translation"}
    | {"realtime", "invoke", "converse"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What an exchange cost. Input and output add up to the whole where both are known.

    Fees per search and per request are part of the input. `partial` is the sum of what has a
    price, a lower bound; `price_ref` names the classes that have none.
    """

    cost_usd: Decimal | None = None
    input_cost_usd: Decimal | None = None
    output_cost_usd: Decimal | None = None
    cost_status: CostStatus | None = None
    price_ref: str | None = None


class PriceBook:
    """All prices at hand: the user's and the list prices."""

    @classmethod
    def of(cls, settings: Settings) -> PriceBook:
        """With the prices that the settings add."""
        return cls([PriceOverride(**price.model_dump()) for price in settings.prices])

    def __init__(self, overrides: Sequence[PriceOverride] = ()) -> None:
        self._overrides = tuple(overrides)
        self._rates = lru_cache(maxsize=16_384)(self._find_rates)

    def cost(
        self,
        *,
        provider: str,
        request_model: str | None,
        response_model: str | None,
        usage: Usage | None,
        usage_source: UsageSource | None,
        service_tier: str | None,
        operation: str | None,
        started_at: datetime,
    ) -> Cost:
        """The cost of an exchange at the prices of its time (a naive one is in UTC)."""
        if not _is_billed(operation, usage):
            return Cost()
        if usage is None:
            return Cost(cost_status="unpriced")
        try:
            if (reported := _reported(provider, usage)) is not None:
                return reported
            models = (response_model, request_model)
            usage = _as_billed(usage)
            bill = self._bill(provider, models, usage, service_tier, operation, started_at)
            return _total(bill, estimated=usage_source == "estimated")
        except Exception:
            _log.exception("no cost for %s %s", provider, response_model or request_model)
            return Cost(cost_status="unpriced")

    def _bill(
        self,
        provider: str,
        models: tuple[str | None, str | None],
        usage: Usage,
        service_tier: str | None,
        operation: str | None,
        started_at: datetime,
    ) -> list[_Line]:
        """The main model's line, and one for each pass that another model served."""
        tier = tier_word(service_tier)
        main = without(usage, (part.usage for part in usage.passes)) if usage.passes else usage
        parts = [(models, main, _terms(usage, tier))]
        parts += [
            ((part.model, None), part.usage, _terms(part.usage, tier)) for part in usage.passes
        ]
        lines: list[_Line] = []
        for names, used, terms in parts:
            rates = self._rates(provider, *names, terms, _moment(provider, names, started_at))
            if lines and rates is not None and rates.per_request is not None:
                rates = replace(rates, per_request=None)  # one request, however many passes
            lines.append(_line(rates, used, operation, names))
        return lines

    def _find_rates(
        self,
        provider: str,
        response_model: str | None,
        request_model: str | None,
        terms: Terms,
        moment: datetime,
    ) -> Rates | None:
        names = [name for name in (response_model, request_model) if name]
        for name in names:
            if rates := override_rates(self._overrides, provider, name, moment.date()):
                return rates
        # On Bedrock only the request's name tells a regional endpoint from the global one, whose
        # prices differ.
        for name in reversed(names) if "bedrock" in provider else names:
            if rates := find_rates(provider, name, terms, moment):
                return rates
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """What one model's part of an exchange cost; `sum` None where no price knows the model."""

    ref: str
    sum: Sum | None


def _line(
    rates: Rates | None, usage: Usage, operation: str | None, names: tuple[str | None, str | None]
) -> _Line:
    if rates is None:
        return _Line(ref=f"none for {names[0] or names[1]}", sum=None)
    total = apply(rates, count(usage), operation)
    ref = rates.ref
    if total.step is not None:
        ref += f" over={total.step}"
    if total.missing:
        ref += f" missing={'+'.join(total.missing)}"
    return _Line(ref=ref, sum=total)


def _total(lines: Sequence[_Line], *, estimated: bool) -> Cost:
    sums = [line.sum for line in lines if line.sum is not None]
    ref = " | ".join(line.ref for line in lines)[:500] if sums else None
    input_usd = _add([each.input_usd for each in sums])
    output_usd = _add([each.output_usd for each in sums])
    cost_usd = _add([input_usd, output_usd])
    if cost_usd is None or cost_usd >= _LIMIT:
        return Cost(cost_status="unpriced", price_ref=ref)
    status: CostStatus = "estimated" if estimated else "priced"
    if len(sums) < len(lines) or any(each.missing for each in sums):
        status = "partial"
    return Cost(
        cost_usd=cost_usd,
        input_cost_usd=input_usd,
        output_cost_usd=output_usd,
        cost_status=status,
        price_ref=ref,
    )


def _add(amounts: Sequence[Decimal | None]) -> Decimal | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known[1:], known[0]).quantize(_PICODOLLAR) if known else None


def _reported(provider: str, usage: Usage) -> Cost | None:
    usd = usage.cost_usd
    if usd is None or not usd.is_finite() or not 0 <= usd < _LIMIT:
        return None
    return Cost(
        cost_usd=usd.quantize(_PICODOLLAR),
        cost_status="provider_reported",
        price_ref=f"{provider}:reported",
    )


def _as_billed(usage: Usage) -> Usage:
    """Cohere counts cached tokens over what was used, and bills `billed_units`: fewer tokens, of
    which none are cached (docs.cohere.com, "How does Cohere's pricing work?")."""
    if isinstance(usage.raw, Mapping) and "billed_units" in usage.raw:
        return replace(usage, cache_read_tokens=None)
    return usage


def _is_billed(operation: str | None, usage: Usage | None) -> bool:
    words = set((operation or "").split("_"))
    if words & _FREE:
        return False
    return usage is not None or bool(words & _BILLED and not words & _FETCHES)


def _moment(provider: str, models: tuple[str | None, str | None], started_at: datetime) -> datetime:
    """The moment as coarse as the prices allow, so that few are looked up: the day's beginning.

    For a model whose price depends on the time of day, the last turn before it.
    """
    if started_at.tzinfo is None:
        started_at = started_at.replace(tzinfo=UTC)
    moment = started_at.astimezone(UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    turning = [turn for model in models if model for turn in turns(provider, model)]
    passed = [turn for turn in turning if turn <= moment.time()]
    return datetime.combine(midnight, max(passed), UTC) if passed else midnight


def _terms(usage: Usage, tier: str) -> Terms:
    """Anthropic says speed and region in its usage object alone, Perplexity how much it read."""
    raw = usage.raw if isinstance(usage.raw, Mapping) else {}
    fast, us_only = raw.get("speed") == "fast", raw.get("inference_geo") == "us"
    context = raw.get("search_context_size")
    return _same_terms(tier, fast, us_only, context if isinstance(context, str) else "")


@lru_cache(maxsize=256)
def _same_terms(tier: str, fast: bool, us_only: bool, search_context: str) -> Terms:
    return Terms(tier=tier, fast=fast, us_only=us_only, search_context=search_context)
