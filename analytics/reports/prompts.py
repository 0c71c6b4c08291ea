"""Prompt versions: what changed in each feature's instructions and tools, and what that did.

Owns which fingerprints are versions, which prompts never stay the same, and the comparison of a
version with the one before it. The texts are prompt_text.py's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from math import sqrt
from typing import Any

import duckdb
import polars as pl

from analytics.queries import MODEL, Selection, condition, frame
from analytics.reports.prompt_text import Differing, diff, differing, prompt_texts
from analytics.reports.prompt_versions import DESCRIBED, OF_VERSIONS, SHARES, VERSIONS

COMPARED = timedelta(days=7)
"""How far a change is looked at in both directions."""
_CLEAR = 3.0
"""Standard errors that a difference of means must have to be called clear."""
_MOST_CHANGES = 100
_SAMPLES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """Prompts by feature; each frame is described in `prompts`."""

    versions: pl.DataFrame
    shares: pl.DataFrame
    changes: pl.DataFrame
    unstable: pl.DataFrame


def prompts(con: duckdb.DuckDBPyConnection, selection: Selection, *, texts: bool = True) -> Prompts:
    """The versions of each feature's prompt in the window.

    A prompt is known by its fingerprint, a hash of instructions and tools. A fingerprint is a
    version under the rule of VERSION_EXCHANGES and VERSION_SHARE; where UNSTABLE_FINGERPRINTS or
    more of a feature are none (a time of day or a name in the prompt), these together are one
    unstable version, with those between them that have less than MAIN_SHARE; fewer are versions
    too. Exchanges without fingerprint are left out.

    Frames, in order of feature and time:

    - `versions`: `feature`, `version` (1, 2, ... by first use), `fingerprint` (null if unstable),
      `fingerprints` (how many), `first_at`, `last_at`, `exchanges`, `share` of the feature's,
      `models`, `input_tokens` and `output_tokens` per exchange, `cached` (share of input read from
      the provider's cache), `cost_usd` Decimal, and `cost_usd_each` Decimal, per exchange with a
      known cost; `example`, an exchange
    - `shares`: `feature`, `day` (UTC), `version`, `exchanges`, `share` of the feature's that day
    - `changes`: a row for each version but a feature's first: `feature`, `version`, `at`;
      `replaced`, the version with most exchanges in the seven days before; of that one in these
      days and of the new one in the seven days since: `exchanges_before`, `exchanges`,
      `input_tokens_before`, `input_tokens`, `output_tokens_before`, `output_tokens`,
      `cost_usd_before`, `cost_usd` (Decimal), all per exchange; `is_clear`: whether the costs
      differ by more than three standard errors; `cost_usd_since` Decimal, what the difference
      makes over all exchanges with the new version; `models_changed`: the models are others too;
      `diff`, unified, of the texts; null where contents are not stored or a side is unstable
    - `unstable`: a row for each unstable version: `feature`, `version`, `fingerprints`,
      `exchanges`, `at_character` where two of its texts begin to differ, `first` and `second`, the
      differing words, `shared_after`, characters that are the same again behind them; null where
      contents are not stored

    `texts` False reads no contents.
    """
    where, parameters = condition(selection)
    con.execute(VERSIONS.format(where=where), [*parameters, *parameters])
    versions = frame(con, DESCRIBED.format(where=where), parameters)
    shares = frame(con, SHARES.format(where=where), parameters)
    changes = pl.DataFrame(list(_changes(con, versions, where, parameters)), _CHANGES, orient="row")
    examples = _examples(con, where, parameters) if texts else {}
    con.execute("DROP TABLE prompt_versions")
    return Prompts(
        versions=versions,
        shares=shares,
        changes=changes.with_columns(
            pl.Series("diff", _diffs(changes, versions, examples), pl.String)
        ),
        unstable=_unstable(versions, examples),
    )


_MONEY = pl.Decimal(38, 12)
_CHANGES: dict[str, Any] = {
    "feature": pl.String,
    "version": pl.Int64,
    "at": pl.Datetime("us", "UTC"),
    "replaced": pl.Int64,
    "exchanges_before": pl.Int64,
    "exchanges": pl.Int64,
    **dict.fromkeys(("input_tokens_before", "input_tokens"), pl.Float64),
    **dict.fromkeys(("output_tokens_before", "output_tokens"), pl.Float64),
    **dict.fromkeys(("cost_usd_before", "cost_usd"), _MONEY),
    "is_clear": pl.Boolean,
    "cost_usd_since": _MONEY,
    "models_changed": pl.Boolean,
}


def _changes(
    con: duckdb.DuckDBPyConnection, versions: pl.DataFrame, where: str, parameters: list[Any]
) -> Iterator[tuple[Any, ...]]:
    rows = versions.sort("feature", "version", nulls_last=True).to_dicts()
    new = [b for a, b in pairwise(rows) if a["feature"] == b["feature"]]
    for row in new[:_MOST_CHANGES]:
        sides = _sides(con, row, where, parameters)
        earlier = {k: side for k, side in sides.items() if k < row["version"] and side["before"]}
        if not earlier or row["version"] not in sides:
            continue
        replaced = max(earlier, key=lambda each: (earlier[each]["before"]["exchanges"], -each))
        yield _change(row, replaced, earlier[replaced]["before"], sides[row["version"]]["since"])


def _sides(
    con: duckdb.DuckDBPyConnection, row: dict[str, Any], where: str, parameters: list[Any]
) -> dict[int, dict[str, Any]]:
    """By version of the feature: its means in the days before a change and since."""
    at = row["first_at"]
    found = con.execute(
        f"""SELECT version, started_at >= ? AS is_since, count(*) AS exchanges,
            avg(input_tokens) AS input, avg(output_tokens) AS output,
            count(cost_usd) AS costed, sum(cost_usd) AS cost,
            coalesce(var_samp(cost_usd::DOUBLE), 0) AS variance,
            list(DISTINCT {MODEL} ORDER BY {MODEL}) AS models
        {OF_VERSIONS} WHERE v.label IS NOT DISTINCT FROM ? AND {where}
            AND started_at >= ? AND started_at < ?
        GROUP BY ALL""",
        [at, row["feature"], *parameters, at - COMPARED, at + COMPARED],
    )
    names = [column[0] for column in found.description or ()]
    sides: dict[int, dict[str, Any]] = {}
    for values in found.fetchall():
        one = dict(zip(names, values, strict=True))
        side = sides.setdefault(one["version"], {"before": None, "since": None})
        side["since" if one["is_since"] else "before"] = one
    return sides


def _change(
    row: dict[str, Any], replaced: int, old: dict[str, Any], new: dict[str, Any]
) -> tuple[Any, ...]:
    before, after = _each(old), _each(new)
    since, is_clear = None, None
    if before is not None and after is not None:
        since = (after - before) * row["exchanges"]
        error = sqrt(old["variance"] / old["costed"] + new["variance"] / new["costed"])
        is_clear = abs(float(after - before)) > _CLEAR * error
    return (
        *(row["feature"], row["version"], row["first_at"], replaced),
        *(old["exchanges"], new["exchanges"], old["input"], new["input"]),
        *(old["output"], new["output"], before, after, is_clear, since),
        old["models"] != new["models"],
    )


def _each(side: dict[str, Any]) -> Decimal | None:
    if not side["costed"]:
        return None
    return Decimal(side["cost"] / side["costed"]).quantize(Decimal("1e-12"))


def _examples(
    con: duckdb.DuckDBPyConnection, where: str, parameters: list[Any]
) -> dict[tuple[str | None, int], list[str]]:
    """Texts of each version with contents: one of a stable version, a few of an unstable one."""
    rows = con.execute(
        f"""SELECT v.label, version, CAST(e.exchange_id AS VARCHAR)
        {OF_VERSIONS} WHERE {where} AND e.exchange_id IN (SELECT exchange_id FROM contents)
        QUALIFY row_number() OVER (PARTITION BY v.label, version,
            CASE WHEN version_of IS NULL THEN fingerprint END ORDER BY e.exchange_id DESC) = 1
            AND row_number() OVER (PARTITION BY v.label, version ORDER BY e.exchange_id DESC)
                <= {_SAMPLES} * 5
        ORDER BY e.exchange_id""",
        parameters,
    ).fetchall()
    texts = prompt_texts(con, [row[2] for row in rows])
    found: dict[tuple[str | None, int], list[str]] = {}
    for feature, version, exchange_id in rows:
        if exchange_id in texts:
            found.setdefault((feature, version), []).append(texts[exchange_id])
    return found


def _diffs(
    changes: pl.DataFrame, versions: pl.DataFrame, examples: dict[tuple[str | None, int], list[str]]
) -> list[str | None]:
    stable = {
        (row["feature"], row["version"])
        for row in versions.iter_rows(named=True)
        if row["fingerprint"] is not None
    }
    found: list[str | None] = []
    for row in changes.iter_rows(named=True):
        sides = [(row["feature"], row["replaced"]), (row["feature"], row["version"])]
        if all(side in stable and side in examples for side in sides):
            found.append(diff(*(examples[side][-1] for side in sides)))
        else:
            found.append(None)
    return found


def _unstable(
    versions: pl.DataFrame, examples: dict[tuple[str | None, int], list[str]]
) -> pl.DataFrame:
    rows = [
        (
            *(row["feature"], row["version"], row["fingerprints"], row["exchanges"]),
            *_told(_difference(examples.get((row["feature"], row["version"]), []))),
        )
        for row in versions.iter_rows(named=True)
        if row["fingerprint"] is None
    ]
    schema: dict[str, Any] = {"feature": pl.String, "version": pl.Int64}
    schema |= {"fingerprints": pl.Int64, "exchanges": pl.Int64, "at_character": pl.Int64}
    schema |= {"first": pl.String, "second": pl.String, "shared_after": pl.Int64}
    return pl.DataFrame(rows, schema, orient="row")


def _difference(texts: list[str]) -> Differing | None:
    """Of the pairs of neighbours the one that differs earliest."""
    found = [each for pair in pairwise(texts) if (each := differing(*pair)) is not None]
    return min(found, key=lambda each: (each.at, -each.shared_after), default=None)


def _told(found: Differing | None) -> tuple[Any, ...]:
    if found is None:
        return (None,) * 4
    return (found.at, found.first, found.second, found.shared_after)
