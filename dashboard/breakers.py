"""What is known of circuit breakers: which upstreams they leave alone.

Owns reading it from the decisions that exchanges recorded; a breaker that no call met since says
nothing, so this is what was known last. Pure.
"""

from __future__ import annotations

from typing import Any

import polars as pl

STATES = {"opened": "open", "closed": "closed"}
_SCHEMA: dict[str, Any] = {
    "upstream": pl.String,
    "state": pl.String,
    "at": pl.Datetime("us", "UTC"),
}


def breakers(decided: pl.DataFrame) -> pl.DataFrame:
    """A row for each upstream that a breaker opened or closed; `decided`: see queries/decisions.py.

    Columns: `upstream`; `state` "open" or "closed", by the latest of its changes; `at`, when the
    exchange with that change began. Open ones first, then the latest.
    """
    latest: dict[str, tuple[str, object]] = {}
    for row in decided.filter(policy="breaker").sort("last_at").to_dicts():
        change, _, upstream = str(row["action"]).partition(" ")
        if change in STATES and upstream:
            latest[upstream] = (STATES[change], row["last_at"])
    rows = [
        {"upstream": upstream, "state": state, "at": at} for upstream, (state, at) in latest.items()
    ]
    is_open = pl.col("state") == "open"
    return pl.DataFrame(rows, schema=_SCHEMA).sort(is_open, "at", descending=True)
