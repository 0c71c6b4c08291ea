"""The arms of rules that share calls, side by side: a part of the page Reliability.

Owns its table. The figures are analytics/queries/arms.py.
"""

from __future__ import annotations

import polars as pl
import streamlit as st

from analytics.queries.arms import arms
from dashboard import parts
from dashboard.reading import View


def arms_of(now: View) -> None:
    """Nothing where no rule shares calls."""
    found = now.ask(arms, now.selection)
    if found.is_empty():
        return
    with st.container(border=True):
        st.markdown("**Canaries and splits**")
        parts.table(
            found.with_columns(pl.col("input_tokens", "output_tokens").round(0).cast(pl.Int64)),
            {
                "rule": ("Rule", "text"),
                "arm": ("Sent to", "text"),
                "exchanges": ("Requests", "count"),
                "share": ("Share", "share"),
                "users": ("Users", "count"),
                "error_share": ("Error rate", "rate"),
                "cost_per_exchange_usd": ("Cost each", "usd"),
                "input_tokens": ("Input each", "count"),
                "output_tokens": ("Output each", "count"),
                "cached_share": ("Cached", "share"),
                "p50_seconds": ("p50", "seconds"),
                "p95_seconds": ("p95", "seconds"),
                "p50_first_chunk_seconds": ("First chunk p50", "seconds"),
            },
            key="arms",
            alt="Destinations of rules that share calls",
        )
