"""Prompt versions: what changed in each feature's instructions and tools, and what that did.

Owns the report: versions, their changes with the texts of both sides, and prompts that never stay
the same. Which fingerprints are versions is prompt_versions.py's, the comparison is
prompt_changes.py's, the texts are prompt_text.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import duckdb
import polars as pl

from analytics.queries import Selection, condition, frame
from analytics.reports.prompt_changes import changes
from analytics.reports.prompt_text import Differing, diff, differing, prompt_texts
from analytics.reports.prompt_versions import DESCRIBED, OF_VERSIONS, SHARES, version_tables

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
      days and of the new one in the seven days since, in whole hours (UTC): `exchanges_before`,
      `exchanges`, `input_tokens_before`, `input_tokens`, `output_tokens_before`, `output_tokens`,
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
    with version_tables(con, selection):
        versions = frame(con, DESCRIBED)
        shares = frame(con, SHARES)
        changed = changes(con, versions)
        examples = _examples(con, where, parameters) if texts else {}
    diffs = pl.Series("diff", _diffs(changed, versions, examples), pl.String)
    return Prompts(
        versions=versions,
        shares=shares,
        changes=changed.with_columns(diffs),
        unstable=_unstable(versions, examples),
    )


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
