"""Where a provider's own page says otherwise than the price list, or more.

Owns a few prices, each with its page. Refuses everything that no page of the provider's says: what
it does not say stays as listed, or unknown. Dates are those on which the copies read were made.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple

from analytics.pricing.rates import Rate

_SATURDAY = 5
# https://api-docs.deepseek.com/quick_start/pricing: peak prices (01:00-04:00 and 06:00-10:00 UTC)
# exist since 2026-08-16, 16:00 UTC. In August the page named no days; as of October they hold
# from Monday to Friday. China's public holidays, which have none either, are not known here.
_PEAKS = frozenset({"deepseek-flash", "deepseek-v4-flash", "deepseek-v4-pro"})
_PEAKS_SINCE = date(2026, 8, 17)
_WEEKENDS_SINCE = date(2026, 10, 1)
_OFF_PEAK_HOUR = 12


class Amendment(NamedTuple):
    """Rates that hold from a moment on, and the page that says so."""

    since: datetime
    page: str
    rates: Mapping[str, Rate]


def _rates(**usd_per_mtok: str) -> dict[str, Rate]:
    return {name: Rate(Decimal(usd).scaleb(-6)) for name, usd in usd_per_mtok.items()}


def _stepped(start: int, **usd_per_mtok: tuple[str, str]) -> dict[str, Rate]:
    """Prices up to that length of input, and above it."""
    return {
        name: Rate(Decimal(short).scaleb(-6), ((start, Decimal(long).scaleb(-6)),))
        for name, (short, long) in usd_per_mtok.items()
    }


_DEEPSEEK = (
    # The same page: from 2025-09-05, 16:00 UTC, one price at all hours, for both names.
    Amendment(
        datetime(2025, 9, 5, 16, tzinfo=UTC),
        "api-docs.deepseek.com",
        _rates(input="0.56", cache_read="0.07", output="1.68", reasoning="1.68"),
    ),
    # https://api-docs.deepseek.com/news/news250929: halved with V3.2-Exp. That page was not seen;
    # the numbers are those that clients carried from it in December 2025.
    Amendment(
        datetime(2025, 9, 29, tzinfo=UTC),
        "api-docs.deepseek.com",
        _rates(input="0.28", cache_read="0.028", output="0.42", reasoning="0.42"),
    ),
)
_AMENDMENTS: Mapping[tuple[str, str], tuple[Amendment, ...]] = {
    ("deepseek", "deepseek-chat"): _DEEPSEEK,
    ("deepseek", "deepseek-reasoner"): _DEEPSEEK,
    # https://docs.anthropic.com/en/docs/about-claude/pricing, "Long context pricing"; reads and
    # writes of the cache keep their multiples of the input.
    ("anthropic", "claude-sonnet-4-0"): (
        Amendment(
            datetime(2025, 8, 12, tzinfo=UTC),
            "docs.anthropic.com",
            _stepped(
                200_000,
                input=("3", "6"),
                image_input=("3", "6"),
                cache_read=("0.30", "0.60"),
                cached_image_input=("0.30", "0.60"),
                cache_write=("3.75", "7.50"),
                cache_write_1h=("6", "12"),
                output=("15", "22.50"),
                reasoning=("15", "22.50"),
            ),
        ),
    ),
    # https://platform.claude.com/docs/zh-CN/models/sonnet-5-5/overview, before 2026-10-07: reads of
    # the cache at a tenth. The list has only what came then, half of that.
    ("anthropic", "claude-sonnet-5-5"): (
        Amendment(
            datetime(2026, 9, 28, tzinfo=UTC),
            "platform.claude.com",
            _rates(cache_read="0.20", cached_image_input="0.20"),
        ),
        Amendment(
            datetime(2026, 10, 7, tzinfo=UTC),
            "platform.claude.com",
            _rates(cache_read="0.10", cached_image_input="0.10"),
        ),
    ),
    # https://developers.openai.com/api/docs/models/gpt-4o-audio-preview.md; the snapshot before
    # that of 2024-12-17 cost more.
    ("openai", "gpt-4o-audio-preview"): (
        Amendment(
            datetime(2024, 12, 17, tzinfo=UTC),
            "developers.openai.com",
            _rates(audio_input="40", audio_output="80"),
        ),
    ),
}
# https://docs.perplexity.ai/docs/legacy/sonar/models/sonar and /getting-started/pricing: dollars
# for a thousand requests by `search_context_size`, which the answer's usage states.
_SONAR = {"low": Decimal(5), "medium": Decimal(8), "high": Decimal(12)}
_SONAR_PRO = {"low": Decimal(6), "medium": Decimal(10), "high": Decimal(14)}
_PERPLEXITY = {
    "sonar": _SONAR,
    "sonar-reasoning": _SONAR,
    "sonar-pro": _SONAR_PRO,
    "sonar-reasoning-pro": _SONAR_PRO,
}


def listed_moment(biller: str, model_id: str, moment: datetime) -> datetime:
    """The moment for which to ask the price list, which knows no days of the week."""
    if biller != "deepseek" or model_id not in _PEAKS:
        return moment
    day = moment.date()
    weekend = day >= _WEEKENDS_SINCE and day.weekday() >= _SATURDAY
    if day >= _PEAKS_SINCE and not weekend:
        return moment
    return moment.replace(hour=_OFF_PEAK_HOUR)


def amended(biller: str, model_id: str, moment: datetime) -> Amendment | None:
    """What replaces or completes the listed rates at a moment, where something does."""
    known = _AMENDMENTS.get((biller, model_id), ())
    return next((each for each in reversed(known) if each.since <= moment), None)


def fee_by_context(biller: str, model_id: str) -> Mapping[str, Decimal] | None:
    """Dollars for a request by how much of the web it read, None where that does not matter."""
    fees = _PERPLEXITY.get(model_id) if biller == "perplexity" else None
    return fees and {size: usd.scaleb(-3) for size, usd in fees.items()}
