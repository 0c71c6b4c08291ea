"""List prices, from the data of genai-prices.

Owns which of its models a name means, and which of that model's prices hold at a moment and on
the terms of a call. Refuses to guess: a model without a match has no rates, and a service tier
whose price is not known leaves every class without a rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache, lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from analytics.pricing import amendments
from analytics.pricing.classes import (
    always_searches,
    bills_searches_per_request,
    fee_per_request,
    rates_by_class,
)
from analytics.pricing.counts import SEARCH
from analytics.pricing.providers import billers, spellings
from analytics.pricing.rates import Rate, Rates

if TYPE_CHECKING:
    from genai_prices.types import ConditionalPrice, ModelInfo, PriceVariant, Provider

_STANDARD = frozenset({"", "auto", "default", "standard", "standard_only", "on_demand"})
# Groq's price list has one price for both.
_SAME_PRICE = frozenset({("groq", "flex"), ("groq", "performance")})
# Providers that publish half price for batch (Google for flex too) on all their models, and
# whether cached input is halved with the rest.
_HALF_PRICE = {
    ("openai", "batch"): False,
    ("openai", "flex"): True,
    ("google", "batch"): False,
    ("google", "flex"): False,
    ("anthropic", "batch"): True,
}
# Anthropic's price for inference that stays in the United States, on all tokens.
_US_ONLY = Decimal("1.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What, beside model and time, decides the price; the defaults are the ordinary case."""

    tier: str = ""
    fast: bool = False
    us_only: bool = False
    search_context: str = ""
    """How much of the web Perplexity read; its fee for a request depends on it."""

    @property
    def condition(self) -> tuple[str, str] | None:
        """As genai-prices names the condition of a price, None for the ordinary price."""
        if self.fast:
            return "speed", "fast"
        if self.tier in _STANDARD:
            return None
        return ("processing" if self.tier == "batch" else "service_tier"), self.tier


def tier_word(service_tier: str | None) -> str:
    """A provider's word for a tier in its shortest form: `ON_DEMAND_FLEX` is `flex`."""
    word = (service_tier or "").strip().lower()
    for prefix in ("service_tier_", "on_demand_"):
        word = word.removeprefix(prefix)
    return "" if word.endswith("unspecified") else word


def find_rates(provider: str, model: str, terms: Terms, moment: datetime) -> Rates | None:
    """The list prices of a model at a moment (aware), None where no price list has the model."""
    found = _find(provider, model)
    return None if found is None else _rates(found, terms, moment)


def turns(provider: str, model: str) -> tuple[time, ...]:
    """The times of day (UTC) at which the model's price may change; none for most models."""
    found = _find(provider, model)
    return () if found is None else found.turns


def names(provider: str) -> list[str]:
    """The models that the price lists of a provider have."""
    return [model.id for biller, _ in billers(provider) for model in _price_list(biller).models]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    biller: str
    own: bool
    """The provider's own price list; another's says nothing about the provider's tiers."""
    model: ModelInfo
    turns: tuple[time, ...]


@lru_cache(maxsize=4096)
def _find(provider: str, model: str) -> _Found | None:
    for biller, own in billers(provider):
        for name in spellings(biller, model):
            if (info := _price_list(biller).find_model(name)) is not None:
                return _Found(biller=biller, own=own, model=info, turns=_turns(info))
    return None


def _turns(model: ModelInfo) -> tuple[time, ...]:
    from genai_prices.types import TimeOfDateConstraint

    daily = [
        price.constraint
        for price in (*_dated(model), *(model.price_variants or ()))
        if isinstance(price.constraint, TimeOfDateConstraint)
    ]
    return tuple({at for each in daily for at in (_utc(each.start_time), _utc(each.end_time))})


def _utc(at: time) -> time:
    """A time of day in UTC, as genai-prices means it; one without a zone is in UTC already."""
    if at.tzinfo is None:
        return at
    return datetime.combine(date(2000, 1, 1), at).astimezone(UTC).time()


def _dated(model: ModelInfo) -> list[ConditionalPrice]:
    return model.prices if isinstance(model.prices, list) else []


@cache
def _price_list(biller: str) -> Provider:
    from genai_prices.data import providers

    return next(provider for provider in providers if provider.id == biller)


def _rates(found: _Found, terms: Terms, moment: datetime) -> Rates:
    biller, model = found.biller, found.model
    listed = amendments.listed_moment(biller, model.id, moment)
    prices = vars(model.get_prices(listed))
    amended = amendments.amended(biller, model.id, moment)
    by_class: Mapping[str, Rate] = rates_by_class(biller, model.id, prices)
    if amended is not None:
        by_class = {**by_class, **amended.rates}
    if (condition := terms.condition) is not None and (biller, terms.tier) not in _SAME_PRICE:
        by_class = _conditional(biller, model, condition, listed, by_class) if found.own else {}
    if biller == "anthropic" and terms.us_only:
        by_class = _scaled(by_class, _US_ONLY, except_for=frozenset({SEARCH}))
    fee, unknown = _fee(biller, model.id, terms, prices)
    return Rates(
        ref=" ".join([*_ref(biller, model, terms), *_dating(model, listed, amended)]),
        by_class=by_class,
        per_request=fee if by_class else None,
        unknown=unknown,
        searches_per_request=bills_searches_per_request(biller, model.id),
        always_searches=always_searches(biller, model.id),
    )


def _fee(
    biller: str, model_id: str, terms: Terms, prices: Mapping[str, Any]
) -> tuple[Decimal | None, tuple[str, ...]]:
    """The fee for the request itself, and that it is unknown where it has one nobody can tell."""
    by_context = amendments.fee_by_context(biller, model_id)
    if by_context is None:
        return fee_per_request(prices), ()
    fee = by_context.get(terms.search_context)
    return fee, () if fee is not None else ("request",)


def _conditional(
    biller: str,
    model: ModelInfo,
    condition: tuple[str, str],
    moment: datetime,
    standard: Mapping[str, Rate],
) -> Mapping[str, Rate]:
    """The rates under a condition; none where its price is not known."""
    variants = [v for v in model.price_variants or () if v.when == dict([condition])]
    for variant in variants:
        if variant.constraint is None or variant.constraint.active(moment):
            prices = vars(model.get_prices(moment)) | vars(variant.prices)
            return rates_by_class(biller, model.id, prices)
    if variants:
        return _before(biller, model, min(variants, key=_start), standard)
    halves_cache = _HALF_PRICE.get((biller, condition[1]))
    if halves_cache is None:
        return {}
    kept = {SEARCH, "file_searches"} | (
        set() if halves_cache else {name for name in standard if "cache" in name}
    )
    return _scaled(standard, Decimal("0.5"), except_for=frozenset(kept))


def _before(
    biller: str, model: ModelInfo, variant: PriceVariant, standard: Mapping[str, Rate]
) -> dict[str, Rate]:
    """The rates before the day from which the price list has them.

    That day is when somebody first wrote them down; the tier is older. It keeps the proportion
    to the standard price of the time.
    """
    day = datetime.combine(_start(variant), time(), UTC)
    plain_prices = vars(model.get_prices(day))
    plain = rates_by_class(biller, model.id, plain_prices)
    special = rates_by_class(biller, model.id, plain_prices | vars(variant.prices))
    return {
        name: rate.times(special[name].usd / plain[name].usd)
        if name in plain and plain[name].usd
        else rate
        for name, rate in standard.items()
    }


def _start(variant: PriceVariant) -> date:
    return getattr(variant.constraint, "start_date", date.min)


def _scaled(
    rates: Mapping[str, Rate], factor: Decimal, *, except_for: frozenset[str]
) -> dict[str, Rate]:
    return {
        name: rate if name in except_for else rate.times(factor) for name, rate in rates.items()
    }


def _ref(biller: str, model: ModelInfo, terms: Terms) -> list[str]:
    words = [f"{biller}:{model.id}", _source()]
    if terms.tier not in _STANDARD:
        words.append(f"tier={terms.tier}")
    if terms.fast:
        words.append("speed=fast")
    if biller == "anthropic" and terms.us_only:
        words.append("region=us")
    return words


def _dating(model: ModelInfo, moment: datetime, amended: amendments.Amendment | None) -> list[str]:
    """From when the price is, and the page it is of where it is not the list's."""
    if amended is not None:
        return [f"from={amended.since:%Y-%m-%d}", f"page={amended.page}"]
    for price in reversed(_dated(model)):
        if price.constraint is None or price.constraint.active(moment):
            return _since(price.constraint)
    return []


def _since(constraint: Any) -> list[str]:
    if (start := getattr(constraint, "start_date", None)) is not None:
        return [f"from={start.isoformat()}"]
    if (start := getattr(constraint, "start_time", None)) is not None:
        return [f"at={start:%H:%M}-{constraint.end_time:%H:%M}Z"]
    return []


@cache
def _source() -> str:
    return f"genai-prices/{version('genai-prices')}"
