"""Prices that the user writes: `[[prices]]` in meterline.toml.

Owns which of them holds for a call, and their form. They come before any price list, and are
final: no tier or time of day changes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase

from analytics.pricing.counts import CHARACTERS, SEARCH, SOUND
from analytics.pricing.rates import Rate, Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceOverride:
    """One `[[prices]]` table. Dollars per million tokens or characters, per request, per search,
    per unit, per minute of sound. A price by characters or minutes makes tokens cost nothing.

    `provider` None means any; `model` is a glob over the answer's or the request's model, case
    ignored; `valid_from` (the key `from`) is the first day, in UTC, on which it holds. A price
    left out is not known: using its class makes the cost partial. Writes to a cache for an hour
    cost as the others where only `cache_write_usd_per_mtok` is given; audio, images and reasoning
    cost as other input and output.
    """

    model: str
    provider: str | None = None
    input_usd_per_mtok: Decimal | None = None
    output_usd_per_mtok: Decimal | None = None
    cache_read_usd_per_mtok: Decimal | None = None
    cache_write_usd_per_mtok: Decimal | None = None
    cache_write_1h_usd_per_mtok: Decimal | None = None
    per_request_usd: Decimal | None = None
    per_search_usd: Decimal | None = None
    per_search_unit_usd: Decimal | None = None
    per_file_search_usd: Decimal | None = None
    per_audio_minute_usd: Decimal | None = None
    input_usd_per_mchar: Decimal | None = None
    valid_from: date | None = None


def override_rates(
    overrides: Sequence[PriceOverride], provider: str, model: str, day: date
) -> Rates | None:
    """The user's prices for a model on a day; of several the one with the latest start."""
    holding = [
        (override.valid_from or date.min, -number)
        for number, override in enumerate(overrides)
        if _holds(override, provider, model, day)
    ]
    if not holding:
        return None
    number = -max(holding)[1]
    return _rates(overrides[number], number)


def _holds(override: PriceOverride, provider: str, model: str, day: date) -> bool:
    if override.provider is not None and override.provider.lower() != provider.lower():
        return False
    if override.valid_from is not None and override.valid_from > day:
        return False
    return fnmatchcase(model.lower(), override.model.lower())


def _rates(override: PriceOverride, number: int) -> Rates:
    write = override.cache_write_usd_per_mtok
    hour = override.cache_write_1h_usd_per_mtok
    per_mtok = {
        ("input", "audio_input", "image_input"): override.input_usd_per_mtok,
        ("cache_read", "cached_audio_input", "cached_image_input"): (
            override.cache_read_usd_per_mtok
        ),
        ("cache_write",): write,
        ("cache_write_1h",): write if hour is None else hour,
        ("output", "reasoning", "audio_output", "image_output"): override.output_usd_per_mtok,
    }
    by_class = {
        name: Rate(usd.scaleb(-6))
        for names, usd in per_mtok.items()
        if usd is not None
        for name in names
    }
    each = {
        SEARCH: override.per_search_usd,
        "search_units": override.per_search_unit_usd,
        "file_searches": override.per_file_search_usd,
        SOUND: override.per_audio_minute_usd and override.per_audio_minute_usd / 60,
        CHARACTERS: override.input_usd_per_mchar and override.input_usd_per_mchar.scaleb(-6),
    }
    by_class |= {name: Rate(usd) for name, usd in each.items() if usd is not None}
    return Rates(
        ref=f"config:prices[{number}]", by_class=by_class, per_request=override.per_request_usd
    )
