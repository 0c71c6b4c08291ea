"""Waste: what was paid for and need not have been.

Owns the kinds of waste, what is at stake in each, and that nothing is counted twice. How requests
are compared is repeats.py's and prefixes.py's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl

from analytics.prices import PriceBook
from analytics.queries import MODEL, Selection, condition, frame
from analytics.reports.requests import sketches
from analytics.reports.waste_kinds import KINDS, Prices, Stake, stakes
from analytics.selected import newest, summed

MOST_EXCHANGES = 50_000
"""So many are looked at, the newest; all of fewer."""
_EXAMPLES = 5
_NOTHING = Decimal(0)
_PICODOLLAR = Decimal("1e-12")


@dataclass(frozen=True, slots=True, kw_only=True)
class Waste:
    """What could be saved; each frame is described in `waste`."""

    summary: pl.DataFrame
    findings: pl.DataFrame
    exchanges: int
    """Looked at."""
    selected: int
    """All that the selection lets through."""
    with_contents: int
    """Of those looked at: those whose requests could be compared."""


def waste(
    con: duckdb.DuckDBPyConnection,
    book: PriceBook,
    selection: Selection,
    *,
    most: int = MOST_EXCHANGES,
    keep_answers: timedelta = timedelta(hours=24),
    keep_prompts: timedelta = timedelta(minutes=5),
) -> Waste:
    """What the exchanges selected cost and need not have, by kind, feature and model.

    The kinds, in the order of KINDS, and what is at stake in each:

    - `exact_duplicate`: same provider, address, model and body (labels and the order of keys apart)
      as an exchange answered whole in the last `keep_answers`; its cost
    - `near_duplicate`: the same but for the last user's text, which is similar (see repeats.near);
      its cost, as an upper bound
    - `failed`: neither completed nor answered from a cache, and still billed; its cost. The detail
      counts those whose request was sent again
    - `cut`: the answer ended at the limit of output tokens; its cost, as an upper bound
    - `oversized_model`: of a feature's exchanges with a model that has a cheaper sibling of the
      same maker (siblings.py), at least SHORT_SHARE and SHORT_EXCHANGES have no tool calls, at
      most SHORT_OUTPUT_TOKENS of output and SHORT_INPUT_TOKENS of input; of these, their cost less
      what the sibling would have cost with the same tokens
    - `broken_prefix`, `uncached_prefix`: input that the provider's prompt cache could have held
      (see prefixes.missed; for `keep_prompts`, or an hour where the feature pays for that) and did
      not read: what was paid for it less the price of reading it, less the price of writing it
      first where the provider bills that. An estimate.
    - `stream_without_usage`: how much they cost is not known; nothing is at stake

    An exchange can be of several kinds. `at_stake_usd` is what a kind is worth by itself;
    `counted_usd` leaves out what an earlier kind has counted of the same exchange, and never
    exceeds its cost, so that it may be added up. Exchanges without a known cost have no stake.

    Frames:

    - `summary`: a row per kind, also where nothing was found, and one for all: `kind`, `what`,
      `mend`, `exchanges`, `at_stake_usd` (null for all), `counted_usd`
    - `findings`: per kind, feature and model, the largest first: `kind`, `feature`, `model`,
      `exchanges`, `at_stake_usd`, `counted_usd`, `cost_usd` of these exchanges, `detail`,
      `examples` (exchange ids, the dearest first)

    Dollars are Decimal.
    """
    rows, selected = _rows(con, selection, most)
    known = dict(sketches(con, rows))
    found = stakes(rows, known, Prices(book), keep_answers, keep_prompts)
    findings = _findings(rows, found)
    return Waste(
        summary=_summary(findings),
        findings=findings.drop("order"),
        exchanges=len(rows),
        selected=selected,
        with_contents=len(known),
    )


def _rows(
    con: duckdb.DuckDBPyConnection, selection: Selection, most: int
) -> tuple[dict[str, dict[str, Any]], int]:
    """The newest exchanges in order of time, by identifier; and how many there are in all."""
    source, parameters = summed(con, selection)
    ((total,),) = con.execute(
        f"SELECT coalesce(sum(exchanges), 0)::BIGINT FROM {source}", parameters
    ).fetchall()
    where, parameters = condition(newest(con, selection, most))
    found = frame(
        con,
        f"""
SELECT CAST(exchange_id AS VARCHAR) AS exchange_id, started_at, provider, request_model,
    response_model, {MODEL} AS model, service_tier, operation, feature, key_id, outcome,
    finish_reasons, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
    cache_write_1h_tokens, tool_call_count, stream, usage_source, cost_usd, request_bytes
FROM exchanges WHERE {where} ORDER BY started_at DESC, exchange_id DESC LIMIT {most}""",
        parameters,
    ).reverse()
    return {each["exchange_id"]: each for each in found.iter_rows(named=True)}, int(total)


def _findings(rows: Mapping[str, dict[str, Any]], found: Mapping[str, list[Stake]]) -> pl.DataFrame:
    left = {key: row["cost_usd"] or _NOTHING for key, row in rows.items()}
    groups: dict[tuple[str, Any, Any], list[tuple[Stake, Decimal]]] = defaultdict(list)
    for kind in KINDS:
        for stake in found[kind]:
            row = rows[stake.exchange_id]
            counted = min(stake.usd or _NOTHING, left[stake.exchange_id]).quantize(_PICODOLLAR)
            left[stake.exchange_id] -= counted
            groups[kind, row["feature"], row["model"]].append((stake, counted))
    made = [_finding(rows, *key, stakes) for key, stakes in groups.items()]
    made.sort(
        key=lambda each: (-each[5], each[0], -(each[4] or _NOTHING), each[1] or "", each[2] or "")
    )
    order = {kind: number for number, kind in enumerate(KINDS)}
    schema: dict[str, Any] = {"kind": pl.String, "feature": pl.String, "model": pl.String}
    schema |= {"exchanges": pl.Int64}
    money = ("at_stake_usd", "counted_usd", "cost_usd")
    schema |= dict.fromkeys(money, pl.Decimal(38, 12))
    schema |= {"detail": pl.String, "examples": pl.List(pl.String)}
    return pl.DataFrame(made, schema, orient="row").with_columns(
        pl.col("kind").replace_strict(order, return_dtype=pl.Int64).alias("order")
    )


def _finding(
    rows: Mapping[str, dict[str, Any]],
    kind: str,
    feature: str | None,
    model: str | None,
    stakes: list[tuple[Stake, Decimal]],
) -> tuple[Any, ...]:
    dearest = sorted(stakes, key=lambda one: (-(one[0].usd or _NOTHING), one[0].exchange_id))
    known = [stake.usd for stake, _ in stakes if stake.usd is not None]
    costs = [
        cost for stake, _ in stakes if (cost := rows[stake.exchange_id]["cost_usd"]) is not None
    ]
    return (
        *(kind, feature, model, len(stakes)),
        sum(known, _NOTHING).quantize(_PICODOLLAR) if known else None,
        sum((counted for _, counted in stakes), _NOTHING),
        sum(costs, _NOTHING) if costs else None,
        _detail(stakes),
        [stake.exchange_id for stake, _ in dearest[:_EXAMPLES]],
    )


def _detail(stakes: list[tuple[Stake, Decimal]]) -> str:
    counts: dict[str, int] = defaultdict(int)
    for stake, _ in stakes:
        counts[stake.detail] += 1
    told = sorted((text, count) for text, count in counts.items() if text)
    return "; ".join(text if count == len(stakes) else f"{count} {text}" for text, count in told)


def _summary(findings: pl.DataFrame) -> pl.DataFrame:
    kinds = pl.DataFrame(
        [(kind, what, mend) for kind, (what, mend) in KINDS.items()],
        {"kind": pl.String, "what": pl.String, "mend": pl.String},
        orient="row",
    )
    sums = findings.group_by("kind").agg(
        pl.col("exchanges", "counted_usd").sum(),
        pl.when(pl.col("at_stake_usd").is_not_null().any()).then(pl.col("at_stake_usd").sum()),
    )
    joined = kinds.join(sums, on="kind", how="left", maintain_order="left").select(
        *("kind", "what", "mend"),
        pl.col("exchanges").fill_null(0),
        "at_stake_usd",
        pl.col("counted_usd").fill_null(0),
    )
    total = joined.select(
        *(pl.lit("all").alias("kind"), pl.lit(None, pl.String).alias("what")),
        pl.lit(None, pl.String).alias("mend"),
        pl.lit(None, pl.Int64).alias("exchanges"),
        pl.lit(None, joined.schema["at_stake_usd"]).alias("at_stake_usd"),
        pl.col("counted_usd").sum(),
    )
    return pl.concat([joined, total])
