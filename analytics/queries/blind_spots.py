"""What the figures do not see: spend without labels or price, missing usage, losses.

Owns the list of blind spots and how much each hides. An exchange can be in several; they are not
to be added up.
"""

from __future__ import annotations

import duckdb
import polars as pl

from analytics.queries import MODEL, NOT_FULLY_PRICED, WITHOUT_USAGE, Selection, frame
from analytics.selected import summed

KINDS: dict[str, tuple[str, str]] = {
    "no_feature": ("feature IS NULL", "send Meterline-Feature"),
    "no_user": ("user_id IS NULL", "send Meterline-User"),
    "unpriced": ("cost_status = 'unpriced'", "add [[prices]] for the model"),
    "partly_priced": ("cost_status = 'partial'", "add the missing class to [[prices]]"),
    "without_usage": (WITHOUT_USAGE, "ask for usage in streams (stream_options.include_usage)"),
    "estimated": ("usage_source = 'estimated'", "ask for usage in streams"),
    "not_understood": ("dialect IS NULL", "relayed and recorded, but no dialect knows the path"),
    "not_readable": ("is_unread", "see parse_error; a later version may read it"),
    "cut_copy": ("truncated", "raise capture.max_body_bytes"),
    "interrupted": ("outcome = 'interrupted'", "the proxy ended before the answer did"),
}
"""Blind spots of exchanges: the condition on analytics.hours.KEYS, and the mend."""


def blind_spots(con: duckdb.DuckDBPyConnection, selection: Selection) -> pl.DataFrame:
    """A row for each kind of blind spot, in the order of KINDS, also where it hides nothing.

    Columns: `kind`; `mend`, in words; `exchanges`, and their `share` of those selected, 0 to 1;
    `cost_usd` Decimal, the known costs of these, and their `cost_share`; `input_tokens`,
    `output_tokens`, known ones; `first_at`, `last_at`, null where none is.
    """
    source, parameters = summed(con, selection)
    bits = " + ".join(
        f"CASE WHEN {test} THEN {1 << place} ELSE 0 END"
        for place, (test, _) in enumerate(KINDS.values())
    )
    found = frame(
        con,
        f"""
SELECT {bits} AS hidden, sum(exchanges)::BIGINT AS exchanges, sum(cost_usd) AS cost_usd,
    sum(input_tokens)::BIGINT AS input_tokens, sum(output_tokens)::BIGINT AS output_tokens,
    min(first_at) AS first_at, max(last_at) AS last_at
FROM {source} GROUP BY hidden ORDER BY hidden""",
        parameters,
    )
    kinds = [_kind(found, kind, mend, 1 << n) for n, (kind, (_, mend)) in enumerate(KINDS.items())]
    return pl.concat(kinds)


def _kind(found: pl.DataFrame, kind: str, mend: str, bit: int) -> pl.DataFrame:
    """One kind of those combinations of kinds that were found."""
    here = (pl.col("hidden") & bit) != 0

    def known(name: str) -> pl.Expr:
        some = pl.col(name).filter(here)
        return pl.when(some.is_not_null().any()).then(some.sum()).alias(name)

    def part(name: str) -> pl.Expr:
        number = pl.col(name).cast(pl.Float64)
        return pl.when(number.sum() != 0).then(number.filter(here).sum() / number.sum())

    return found.select(
        pl.lit(kind).alias("kind"),
        pl.lit(mend).alias("mend"),
        pl.col("exchanges").filter(here).sum(),
        part("exchanges").alias("share"),
        known("cost_usd"),
        part("cost_usd").alias("cost_share"),
        known("input_tokens"),
        known("output_tokens"),
        pl.col("first_at").filter(here).min(),
        pl.col("last_at").filter(here).max(),
    )


def unpriced(
    con: duckdb.DuckDBPyConnection, selection: Selection, *, limit: int = 50
) -> pl.DataFrame:
    """Which models have no price, or only in part; those with the most tokens first.

    Columns: `provider`, `model`, `operation`, `cost_status` ("unpriced" or "partial"),
    `exchanges`, `input_tokens`, `output_tokens`, `cost_usd` Decimal (the priced part),
    `first_at`, `last_at`.
    """
    source, parameters = summed(con, selection)
    return frame(
        con,
        f"""
SELECT provider, {MODEL} AS model, operation, cost_status,
    sum(exchanges)::BIGINT AS exchanges,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    sum(cost_usd) AS cost_usd,
    min(first_at) AS first_at,
    max(last_at) AS last_at
FROM {source} WHERE {NOT_FULLY_PRICED}
GROUP BY ALL
ORDER BY coalesce(sum(input_tokens), 0) + coalesce(sum(output_tokens), 0) DESC, exchanges DESC,
    provider NULLS LAST, model NULLS LAST, operation NULLS LAST, cost_status
LIMIT ?""",
        [*parameters, limit],
    )


def losses(con: duckdb.DuckDBPyConnection, selection: Selection) -> pl.DataFrame:
    """What could not be recorded, by reason; of the selection only the window counts.

    Columns: `reason`, `count`, `first_at`, `last_at` (when it was noticed), `detail` of the last.
    The most frequent first.
    """
    since, until = selection.window.since, selection.window.until
    return frame(
        con,
        """
SELECT reason, sum(count)::BIGINT AS count, min(noticed_at) AS first_at,
    max(noticed_at) AS last_at, arg_max_null(detail, noticed_at) AS detail
FROM losses
WHERE (?::TIMESTAMPTZ IS NULL OR noticed_at >= ?) AND (?::TIMESTAMPTZ IS NULL OR noticed_at < ?)
GROUP BY reason ORDER BY count DESC, reason""",
        [since, since, until, until],
    )
