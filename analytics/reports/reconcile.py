"""A provider's bill against what was recorded, by day and model.

Owns the matching of days and models, the shift between time zones, and the verdict on each
difference. Reading the bill is bills.py's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl

from analytics.reports.bills import Bill
from analytics.reports.recorded import (
    TOLERANCE_SHARE,
    Sums,
    Table,
    best_offset,
    billed,
    model_key,
    recorded,
    slots_of,
)

TOLERANCE_USD = Decimal("0.01")
"""A difference within these dollars, or within TOLERANCE_SHARE, is none."""
VERDICTS: Mapping[str, str] = {
    "same": "both agree",
    "missing_here": "the provider billed what was not recorded: traffic past the proxy, or a loss",
    "missing_there": "recorded and not on the bill: billed later, or by someone else",
    "unpriced": "recorded with no price or in part: add [[prices]]",
    "estimated": "within what is estimated here: usage was not reported",
    "tokens": "the tokens differ",
    "price": "the tokens agree, the prices do not",
    "differs": "the costs differ; the bill has no tokens to tell why",
}
_NOTHING = Decimal(0)
_MONEY = pl.Decimal(38, 12)
_PICODOLLAR = Decimal("1e-12")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """A bill compared; each frame is described in `reconcile`."""

    bill: Bill
    offset: timedelta
    offset_is_found: bool
    summary: pl.DataFrame
    rows: pl.DataFrame


def reconcile(
    con: duckdb.DuckDBPyConnection,
    bill: Bill,
    *,
    provider: str | None = None,
    offset: timedelta | None = None,
) -> Reconciled:
    """A bill against the exchanges of its days.

    Compared are the exchanges of `provider`, else of the one the bill is from, else all. A model's
    name matches without its date and its provider's prefix; a line item matches the longest of our
    models that it contains. A bill without models is compared by day.

    `offset` is what a bill's days are ahead of UTC; without one, the offset (in half hours) that
    brings both sides closest is taken, if it at least halves the difference, over three days or
    more. Then `offset_is_found` is true.

    Frames, by day and model:

    - `rows`: `day`, `model` (null where the bill has none), `exchanges`, `requests` on the bill,
      `input_tokens`, `billed_input_tokens`, `output_tokens`, `billed_output_tokens`, `cost_usd`,
      `billed_usd`, `difference_usd` (billed less recorded), of that `tokens_usd` (other tokens at
      our prices) and `price_usd` (the rest), both null where the bill lacks tokens or costs;
      `unpriced` exchanges, `estimated_usd`; `verdict`, of VERDICTS
    - `summary`: a row per verdict that occurs, and all: `verdict`, `meaning`, `rows`, `cost_usd`,
      `billed_usd`, `difference_usd`, `difference_tokens`

    Sums leave out what is unknown. Money is Decimal.
    """
    if not bill.lines:
        return _empty(bill, offset or timedelta())
    days = [line.day for line in bill.lines]
    span = (min(days), max(days))
    slots = list(slots_of(con, span, provider or bill.provider))
    has_models = any(line.model is not None for line in bill.lines)
    shown = {model_key(model): model for _, model, _ in slots if model}
    theirs = billed(bill.lines, shown)
    found = offset if offset is not None else best_offset(slots, theirs, span)
    ours = recorded(slots, found, span, has_models=has_models)
    rows = pl.DataFrame(list(_rows(ours, theirs, shown)), _ROWS, orient="row")
    return Reconciled(
        bill=bill,
        offset=found,
        offset_is_found=offset is None and bool(found),
        summary=_summary(rows),
        rows=rows,
    )


_ROWS: dict[str, Any] = {
    "day": pl.Date,
    "model": pl.String,
    **dict.fromkeys(("exchanges", "requests", "input_tokens", "billed_input_tokens"), pl.Int64),
    **dict.fromkeys(("output_tokens", "billed_output_tokens"), pl.Int64),
    **dict.fromkeys(("cost_usd", "billed_usd", "difference_usd"), _MONEY),
    **dict.fromkeys(("tokens_usd", "price_usd"), _MONEY),
    "unpriced": pl.Int64,
    "estimated_usd": _MONEY,
    "verdict": pl.String,
}


def _empty(bill: Bill, offset: timedelta) -> Reconciled:
    rows = pl.DataFrame([], _ROWS, orient="row")
    return Reconciled(
        bill=bill, offset=offset, offset_is_found=False, summary=_summary(rows), rows=rows
    )


def _rows(ours: Table, theirs: Table, shown: Mapping[str, str]) -> Iterator[tuple[Any, ...]]:
    for day, model in sorted({*ours, *theirs}, key=lambda key: (key[0], key[1] or "")):
        here, there = ours.get((day, model)), theirs.get((day, model))
        yield (day, shown.get(model or "", model), *_row(here, there))


def _row(here: Sums | None, there: Sums | None) -> tuple[Any, ...]:
    one, two = here or Sums(), there or Sums()
    difference: Decimal | None = None
    if two.cost_usd is not None or (there is None and one.cost_usd is not None):
        difference = (two.cost_usd or _NOTHING) - (one.cost_usd or _NOTHING)
    tokens = _tokens_effect(one, two)
    price = None if tokens is None or difference is None else difference - tokens
    return (
        *(one.exchanges or 0, two.exchanges, one.input_tokens, two.input_tokens),
        *(one.output_tokens, two.output_tokens, one.cost_usd, two.cost_usd, difference),
        *(tokens if price is not None else None, price, one.unpriced or 0, one.estimated_usd),
        _verdict(here, there, difference, tokens, price),
    )


def _tokens_effect(here: Sums, there: Sums) -> Decimal | None:
    """What their tokens cost more than ours at our prices, None where a side has none."""
    total = _NOTHING
    for side in ("input", "output"):
        mine, billed = getattr(here, f"{side}_tokens"), getattr(there, f"{side}_tokens")
        usd = getattr(here, f"{side}_usd")
        if billed is None or not mine or usd is None:
            if billed or (mine and usd is None):
                return None
            continue
        total += usd * (billed - mine) / mine
    known = there.input_tokens is not None or there.output_tokens is not None
    return total.quantize(_PICODOLLAR) if known else None


def _verdict(
    here: Sums | None,
    there: Sums | None,
    difference: Decimal | None,
    tokens: Decimal | None,
    price: Decimal | None,
) -> str:
    if here is None:
        return "missing_here"
    if there is None:
        return "missing_there"
    same_tokens = _same_tokens(here, there)
    if difference is None:
        if not same_tokens and tokens is not None and abs(tokens) <= (here.estimated_usd or 0):
            return "estimated"
        return "same" if same_tokens else "tokens"
    if _is_small(difference, there.cost_usd):
        return "same"
    if here.unpriced and same_tokens is not False:
        return "unpriced"
    if abs(difference) <= (here.estimated_usd or _NOTHING):
        return "estimated"
    if tokens is None or price is None:
        return "differs" if same_tokens is None else ("price" if same_tokens else "tokens")
    return "tokens" if abs(tokens) >= abs(price) else "price"


def _same_tokens(here: Sums, there: Sums) -> bool | None:
    pairs = [
        (getattr(here, name), getattr(there, name))
        for name in ("input_tokens", "output_tokens")
        if getattr(there, name) is not None
    ]
    if not pairs:
        return None
    return all(abs(billed - (mine or 0)) <= TOLERANCE_SHARE * billed for mine, billed in pairs)


def _is_small(difference: Decimal, of: Decimal | None) -> bool:
    return abs(difference) <= max(TOLERANCE_USD, TOLERANCE_SHARE * abs(of or _NOTHING))


def _summary(rows: pl.DataFrame) -> pl.DataFrame:
    tokens = pl.sum_horizontal("billed_input_tokens", "billed_output_tokens") - pl.sum_horizontal(
        "input_tokens", "output_tokens"
    )
    comparable = pl.any_horizontal(
        pl.col("billed_input_tokens", "billed_output_tokens").is_not_null()
    )
    sums = [
        pl.len().cast(pl.Int64).alias("rows"),
        *(_known_sum(name) for name in ("cost_usd", "billed_usd", "difference_usd")),
        _known_sum("difference_tokens"),
    ]
    told = rows.with_columns(pl.when(comparable).then(tokens).alias("difference_tokens"))
    by_verdict = told.group_by("verdict").agg(sums)
    order = pl.DataFrame({"verdict": list(VERDICTS), "meaning": list(VERDICTS.values())})
    found = order.join(by_verdict, on="verdict", how="inner", maintain_order="left")
    total = told.select(
        pl.lit("all").alias("verdict"), pl.lit(None, pl.String).alias("meaning"), *sums
    )
    return pl.concat([found, total])


def _known_sum(name: str) -> pl.Expr:
    return pl.when(pl.col(name).is_not_null().any()).then(pl.col(name).sum()).alias(name)
