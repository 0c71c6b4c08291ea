"""Usage in the store's columns, and back from them.

Owns which classes have a column of their own and which lie in `usage_detail`, so that prices can
be applied again to what was stored. Refuses to price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson

from proxy.facts import Usage
from proxy.facts_codec import usage_from_json, usage_to_json

COLUMNS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "web_searches",
)
_PICODOLLAR = Decimal("1e-12")
_IN_DETAIL = (
    "cached_audio_input_tokens",
    "image_input_tokens",
    "image_output_tokens",
    "audio_seconds",
)


def to_columns(usage: Usage | None) -> dict[str, Any]:
    """The usage columns of a row."""
    if usage is None:
        return {}
    values: dict[str, Any] = {name: getattr(usage, name) for name in COLUMNS}
    values["provider_cost_usd"] = None
    if usage.cost_usd is not None:  # some providers report more digits than the column has
        values["provider_cost_usd"] = usage.cost_usd.quantize(_PICODOLLAR)
    values["usage_raw"] = None if usage.raw is None else _json(usage.raw)
    values["usage_detail"] = _detail(usage)
    return values


def from_columns(row: Mapping[str, Any]) -> Usage | None:
    """The usage of a stored row, None where it has none."""
    detail = orjson.loads(row["usage_detail"]) if row["usage_detail"] else {}
    values = {name: row[name] for name in COLUMNS}
    cost = row["provider_cost_usd"]
    if not detail and cost is None and all(value is None for value in values.values()):
        return None
    raw = orjson.loads(row["usage_raw"]) if row["usage_raw"] else None
    return replace(usage_from_json(detail), **values, cost_usd=cost, raw=raw)


def _detail(usage: Usage) -> str | None:
    values = {name: value for name in _IN_DETAIL if (value := getattr(usage, name)) is not None}
    if usage.units:
        values["units"] = dict(usage.units)
    if usage.passes:
        values["passes"] = [
            {"model": part.model, "usage": usage_to_json(replace(part.usage, raw=None))}
            for part in usage.passes
        ]
    return _json(values) if values else None


def _json(value: Any) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
