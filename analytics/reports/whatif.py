"""What the same traffic would have cost with another model.

Owns which exchanges can be compared, and the prices, caches and token counts that the comparison
supposes. Refuses to say that the other model's answers would do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any, NamedTuple

import duckdb
import polars as pl

from analytics.prices import PriceBook
from analytics.queries import DAY, MODEL, Selection, condition, frame
from analytics.reports.class_prices import ClassPrices, Served, class_prices
from analytics.reports.tokenizers import Factor, Tokenizers
from proxy.providers import BUILT_IN

LENGTHS = (32_000, 100_000, 128_000, 199_999, 200_000, 256_000, 272_000, 512_000, 524_288)
"""Input tokens above which some list price rises."""
_COMPARABLE = """input_tokens IS NOT NULL AND output_tokens IS NOT NULL
    AND coalesce(operation, '') IN ('chat', 'text_completion', 'generate_content')
    AND coalesce(audio_input_tokens, 0) + coalesce(audio_output_tokens, 0) = 0"""
_READ, _WRITE = "coalesce(cache_read_tokens, 0)", "coalesce(cache_write_tokens, 0)"
_HOUR = "coalesce(cache_write_1h_tokens, 0)"
_MONEY = pl.Decimal(38, 12)
_PICODOLLAR = Decimal("1e-12")
_NOTHING = Decimal(0)
_MIDDAY = time(12, tzinfo=UTC)


class UnknownTarget(ValueError):
    """No price is known for the model; the message says what to do."""


class Target(NamedTuple):
    """A model as a provider serves it; the provider None: whichever is found first."""

    model: str
    provider: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """The comparison; each frame is described in `whatif`."""

    summary: pl.DataFrame
    groups: pl.DataFrame
    left_out: pl.DataFrame


def whatif(
    con: duckdb.DuckDBPyConnection,
    book: PriceBook,
    selection: Selection,
    targets: Sequence[Target],
    now: datetime,
) -> WhatIf:
    """What the exchanges selected would have cost with each target, at the prices of their day.

    Compared are text exchanges with known tokens and a known cost. Supposed is:

    - tokens: as many, times a factor where the target's maker has another tokenizer (see
      tokenizers.py); reasoning counts as output, though another model may reason more or less
    - `cost_there_usd`: caches work as they did. What was read from one is priced as such; a class
      that the target's price list does not have is priced as fresh input. Where the provider in use
      does not bill writing to its cache, no writing is supposed, which flatters a target that does.
    - `uncached_usd`: no cache, all input is fresh
    - searches and fees per request are left out

    Frames, money as Decimal:

    - `summary`: a row per target: `provider`, `model`, `exchanges`, `cost_usd` as it was,
      `cost_there_usd`, `change_usd`, `uncached_usd`; `low_usd` and `high_usd`, cost_there_usd if
      the factors are off by their error
    - `groups`: the same by target, feature and model in use, those with the highest cost first:
      `provider`, `model`, `feature`, `from_model`, `exchanges`, `input_tokens`, `output_tokens`,
      `factor`, `factor_error` (a share), `factor_origin` ("same", "measured", "assumed"), and
      the money
    - `left_out`: `reason`, `exchanges`, `cost_usd`

    Raises UnknownTarget.
    """
    where, parameters = condition(selection)
    sums = frame(con, _sums(where), parameters)
    tokenizers = Tokenizers(con, where, parameters)
    rows: list[dict[str, Any]] = []
    for target in targets:
        found = _found(con, book, target, now)
        rows += _groups(sums, found, _Prices(book, found), tokenizers)
    groups = pl.DataFrame(rows, _GROUPS, orient="row")
    return WhatIf(
        summary=_summary(groups),
        groups=groups.sort("cost_usd", descending=True, maintain_order=True),
        left_out=frame(con, _LEFT_OUT.format(where=where), parameters),
    )


def _sums(where: str) -> str:
    bucket = " + ".join(f"(input_tokens > {length})::INT" for length in LENGTHS)
    return f"""
SELECT feature, {MODEL} AS from_model, {DAY} AS day, {bucket} AS bucket,
    count(*) AS exchanges, sum(greatest(input_tokens - {_READ} - {_WRITE}, 0))::BIGINT AS fresh,
    sum({_READ})::BIGINT AS cache_read, sum(greatest({_WRITE} - {_HOUR}, 0))::BIGINT AS cache_write,
    sum({_HOUR})::BIGINT AS cache_write_1h, sum(output_tokens)::BIGINT AS output,
    sum(cost_usd) AS cost_usd
FROM exchanges WHERE {_COMPARABLE} AND cost_usd IS NOT NULL AND {where}
GROUP BY ALL ORDER BY feature NULLS LAST, from_model, day, bucket"""


_LEFT_OUT = f"""
SELECT CASE
    WHEN cost_status IS NULL AND usage_source IS NULL THEN 'nothing was billed, or nobody said'
    WHEN coalesce(input_tokens, output_tokens) IS NULL THEN 'no token counts'
    WHEN cost_usd IS NULL THEN 'no known cost to compare with'
    WHEN output_tokens IS NULL OR input_tokens IS NULL THEN 'token counts in part'
    ELSE 'not text for text (embeddings, images, audio)' END AS reason,
    count(*) AS exchanges, sum(cost_usd) AS cost_usd
FROM exchanges WHERE NOT coalesce({_COMPARABLE} AND cost_usd IS NOT NULL, false) AND {{where}}
GROUP BY reason ORDER BY exchanges DESC, reason"""
_GROUPS: dict[str, Any] = {
    **dict.fromkeys(("provider", "model", "feature", "from_model"), pl.String),
    **dict.fromkeys(("exchanges", "input_tokens", "output_tokens"), pl.Int64),
    **dict.fromkeys(("factor", "factor_error"), pl.Float64),
    "factor_origin": pl.String,
    **dict.fromkeys(("cost_usd", "cost_there_usd", "change_usd"), _MONEY),
    **dict.fromkeys(("uncached_usd", "low_usd", "high_usd"), _MONEY),
}


class _Found(NamedTuple):
    provider: str
    model: str


def _found(
    con: duckdb.DuckDBPyConnection, book: PriceBook, target: Target, now: datetime
) -> _Found:
    """The target with its provider: one in use for that model, else the first that has a price."""
    candidates = [target.provider] if target.provider else _candidates(con, target.model)
    for provider in candidates:
        prices = class_prices(book, Served(provider, target.model, target.model), now)
        if prices.fresh is not None and prices.output is not None:
            return _Found(provider, target.model)
    at = f" at {target.provider}" if target.provider else ""
    raise UnknownTarget(
        f"no price is known for {target.model!r}{at}. Check its name, say whose it is with "
        "--provider, or add it to the settings: [[prices]]."
    )


def _candidates(con: duckdb.DuckDBPyConnection, model: str) -> list[str]:
    used = con.execute(
        f"""SELECT provider FROM exchanges WHERE provider IS NOT NULL
            AND (request_model = ? OR {MODEL} = ?) GROUP BY provider ORDER BY count(*) DESC""",
        [model, model],
    ).fetchall()
    return [*(row[0] for row in used), *(name for name in BUILT_IN if name != "demo")]


class _Prices:
    """The target's prices by day and length."""

    def __init__(self, book: PriceBook, target: _Found) -> None:
        self._book = book
        self._served = Served(target.provider, target.model, target.model)
        self._known: dict[Any, ClassPrices] = {}

    def of(self, row: Mapping[str, Any]) -> ClassPrices:
        key = (row["day"], row["bucket"])
        if key not in self._known:
            at = datetime.combine(row["day"], _MIDDAY)
            length = (*LENGTHS, 2 * LENGTHS[-1])[row["bucket"]]
            self._known[key] = class_prices(self._book, self._served, at, input_tokens=length)
        return self._known[key]


def _groups(
    sums: pl.DataFrame, target: _Found, prices: _Prices, tokenizers: Tokenizers
) -> Iterator[dict[str, Any]]:
    groups: dict[tuple[str | None, str | None], list[dict[str, Any]]] = {}
    for row in sums.iter_rows(named=True):
        groups.setdefault((row["feature"], row["from_model"]), []).append(row)
    for (feature, from_model), rows in groups.items():
        factor = tokenizers.factor(from_model, target.model)
        yield {
            "provider": target.provider,
            "model": target.model,
            "feature": feature,
            "from_model": from_model,
            **_compared(rows, prices, factor),
        }


def _compared(rows: list[dict[str, Any]], prices: _Prices, factor: Factor) -> dict[str, Any]:
    cost = sum((row["cost_usd"] for row in rows), _NOTHING)
    plain = [_there(row, prices.of(row)) for row in rows]
    there = sum((each[0] for each in plain), _NOTHING)
    uncached = sum((each[1] for each in plain), _NOTHING)
    times = Decimal(str(factor.value))
    low, high = (Decimal(str(1 + sign * factor.error)) for sign in (-1, 1))
    names = ("fresh", "cache_read", "cache_write", "cache_write_1h")
    amounts = {
        "cost_usd": cost,
        "cost_there_usd": there * times,
        "change_usd": there * times - cost,
        "uncached_usd": uncached * times,
        "low_usd": there * times * low,
        "high_usd": there * times * high,
    }
    return {
        "exchanges": sum(row["exchanges"] for row in rows),
        "input_tokens": sum(row[name] for row in rows for name in names),
        "output_tokens": sum(row["output"] for row in rows),
        "factor": factor.value,
        "factor_error": factor.error,
        "factor_origin": factor.origin,
        **{name: usd.quantize(_PICODOLLAR) for name, usd in amounts.items()},
    }


def _there(row: Mapping[str, Any], prices: ClassPrices) -> tuple[Decimal, Decimal]:
    """The cost with the same tokens: with caches as they were, and without any."""
    fresh, output = prices.fresh or _NOTHING, row["output"] * (prices.output or _NOTHING)
    write = fresh if prices.cache_write is None else prices.cache_write
    rates = {
        "fresh": fresh,
        "cache_read": fresh if prices.cache_read is None else prices.cache_read,
        "cache_write": write,
        "cache_write_1h": write if prices.cache_write_1h is None else prices.cache_write_1h,
    }
    cached = sum((row[name] * usd for name, usd in rates.items()), _NOTHING)
    return cached + output, sum(row[name] for name in rates) * fresh + output


def _summary(groups: pl.DataFrame) -> pl.DataFrame:
    money = [name for name, kind in _GROUPS.items() if kind == _MONEY]
    return groups.group_by("provider", "model", maintain_order=True).agg(
        pl.col("exchanges", *money).sum()
    )
