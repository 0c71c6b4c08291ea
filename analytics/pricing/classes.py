"""From the keys of a genai-prices price list to rates by class of usage.

Owns which price covers a class that has none of its own: only one that certainly does. Reasoning
is billed as output everywhere, images are read as input, and some models' only output is audio or
images. Otherwise a class without a price stays without one, because the text price would be a
wrong number: audio costs up to ten times as much as text, and cache reads a tenth.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from analytics.pricing.counts import CHARACTERS, INPUT_CLASSES, OUTPUT_CLASSES, SEARCH, SOUND
from analytics.pricing.rates import Rate

if TYPE_CHECKING:
    from genai_prices.types import TieredPrices

_SECOND = Decimal(1) / 3600
_PRICE_KEYS = {
    "input": ("input_mtok",),
    "cache_read": ("cache_read_mtok",),
    "cache_write": ("cache_write_mtok",),
    "cache_write_1h": ("cache_write_1h_mtok",),
    "audio_input": ("input_audio_mtok",),
    "cached_audio_input": ("cache_audio_read_mtok",),
    "image_input": ("input_image_mtok", "input_mtok"),
    "cached_image_input": ("cache_image_read_mtok", "cache_read_mtok"),
    "output": ("output_mtok",),
    "reasoning": ("output_reasoning_mtok", "output_mtok"),
    "audio_output": ("output_audio_mtok",),
    "image_output": ("output_image_mtok",),
}


def rates_by_class(biller: str, model_id: str, prices: Mapping[str, Any]) -> dict[str, Rate]:
    """The rates of a model, by class. An empty list means free only where the name says so."""
    if model_id.endswith(":free"):
        return dict.fromkeys((*INPUT_CLASSES, *OUTPUT_CLASSES), Rate(Decimal(0)))
    rates = {}
    for name, keys in _PRICE_KEYS.items():
        covering = (*keys, *_also_covered(biller, model_id, name))
        price = next((prices[key] for key in covering if prices.get(key) is not None), None)
        if price is not None:
            rates[name] = _rate(price, -6)
    if prices.get("web_searches_kcount") is not None:
        rates[SEARCH] = _rate(prices["web_searches_kcount"], -3)
    elif prices.get("requests_kcount") is not None:
        rates[SEARCH] = Rate(Decimal(0))  # the fee per request is the fee for its searches
    if prices.get("storage_searches_kcount") is not None:
        rates["file_searches"] = _rate(prices["storage_searches_kcount"], -3)
    if prices.get("input_mchars") is not None:
        rates[CHARACTERS] = _rate(prices["input_mchars"], -6)
    by_hour = prices.get("input_audio_hours") or prices.get("audio_hours")
    if by_hour is not None and "input" not in rates:  # else it is the length of a session
        rates[SOUND] = _rate(by_hour, 0).times(_SECOND)
    return rates


def fee_per_request(prices: Mapping[str, Any]) -> Decimal | None:
    """The fee for the request itself, None where there is none."""
    price = prices.get("requests_kcount")
    return None if price is None else _rate(price, -3).usd


def bills_searches_per_request(biller: str, model_id: str) -> bool:
    """Google bills a grounded prompt before Gemini 3, and each search from Gemini 3 on."""
    return biller == "google" and model_id.startswith(("gemini-1", "gemini-2", "gemini-flash-1"))


def always_searches(biller: str, model_id: str) -> bool:
    """OpenAI's models that search before every answer; their usage does not count it."""
    return biller == "openai" and model_id.endswith(("-search-preview", "-search-api"))


def _also_covered(biller: str, model_id: str, name: str) -> tuple[str, ...]:
    if biller == "google" and name == "audio_input":
        return ("input_mtok",)  # Google names audio apart only where its price differs
    if biller == "google" and name == "cached_audio_input":
        return ("cache_read_mtok",)
    if name == "audio_output" and "tts" in model_id:
        return ("output_mtok",)
    if name == "image_output" and "image" in model_id:
        return ("output_mtok",)
    if biller == "cerebras" and name == "cache_read":
        return ("input_mtok",)  # its cache makes answers faster, not cheaper
    return ()


def _rate(price: Decimal | TieredPrices, exponent: int) -> Rate:
    if isinstance(price, Decimal):
        return Rate(price.scaleb(exponent))
    steps = tuple((tier.start, tier.price.scaleb(exponent)) for tier in price.tiers)
    return Rate(price.base.scaleb(exponent), steps)
