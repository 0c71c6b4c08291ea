"""Models: what they cost and how fast they are, side by side."""

from __future__ import annotations

import polars as pl
import streamlit as st

from analytics.queries.failures import failures
from analytics.queries.over_time import over_time
from analytics.queries.timing import timing
from analytics.queries.usage import usage
from dashboard import charts, figures, pages, parts, shapes
from dashboard.colours import colour
from dashboard.reading import View

MANY, COMPARED = 40, 10
COLUMNS: dict[str, tuple[str, parts.Shown]] = {
    "name": ("Model", "text"),
    "exchanges": ("Requests", "count"),
    "cost_usd": ("Spend", "usd"),
    "cost_per_call": ("Per request", "price"),
    "cost_per_1k_output": ("Per 1k output tokens", "price"),
    "p50_seconds": ("p50", "seconds"),
    "p95_seconds": ("p95", "seconds"),
    "p50_first_chunk_seconds": ("First chunk p50", "seconds"),
    "p95_first_chunk_seconds": ("First chunk p95", "seconds"),
    "p50_tokens_per_second": ("Tokens/s p50", "count"),
    "cache_share": ("Cache", "rate"),
    "error_share": ("Errors", "rate"),
    "without_usage": ("Usage unknown", "count"),
}


PRICES = (
    ("cost_per_call", "Cost of a request"),
    ("cost_per_1k_output", "Cost of 1,000 output tokens, input included"),
)
SPEEDS = (
    ("seconds", "Latency", "seconds"),
    ("first_chunk_seconds", "Time to the first chunk", "seconds"),
    ("tokens_per_second", "Output tokens a second, of streams", "count"),
)


def page(now: View) -> None:
    found = side_by_side(now)
    if found.is_empty():
        pages.nothing_selected(now)
        return
    known = now.colours("model")
    compared = found.head(COMPARED)
    with st.grid(2, min_column_width=300, gap="small"):
        for column, title in PRICES:
            with st.container(border=True, height="stretch"):
                price(compared, column, title, known)
        for name, title, unit in SPEEDS:
            with st.container(border=True, height="stretch"):
                speed(compared, name, title, unit, known)
        with st.container(border=True, height="stretch"):
            calls(now, known)
    with st.container(border=True):
        st.markdown("**Side by side** · select a model to look at it alone")
        parts.table(
            found,
            COLUMNS,
            key="models",
            pick=lambda row: parts.only("model", row["name"]),
            alt="Models with their cost, speed and errors",
        )


def calls(now: View, known: parts.Colours) -> None:
    st.markdown(f"**Requests by {now.bucket}**")
    course = now.ask(
        over_time,
        now.selection,
        by="model",
        bucket=now.bucket,
        limit=8,
        sort="exchanges",
        now=now.now,
    )
    option = charts.stacked(course, "exchanges", known, bucket=now.bucket, unit="count")
    st.echarts_chart(option, height=300, key="calls", alt="Requests over time by model")


def side_by_side(now: View) -> pl.DataFrame:
    """A row for each model, the most expensive first."""
    used = now.ask(usage, "model", now.selection, limit=MANY).filter(part="group")
    fast = now.ask(timing, "model", now.selection, limit=MANY).filter(part="group")
    failed = now.ask(failures, "model", now.selection, limit=MANY).filter(part="group")
    cost = pl.col("cost_usd").cast(pl.Float64)
    return (
        used.join(fast, on="name", how="left", nulls_equal=True, suffix="_timed")
        .join(failed, on="name", how="left", nulls_equal=True, suffix="_failed")
        .with_columns(
            (cost / pl.col("exchanges")).alias("cost_per_call"),
            pl.when(pl.col("output_tokens") > 0)
            .then(cost * 1000 / pl.col("output_tokens"))
            .alias("cost_per_1k_output"),
        )
        .sort(cost, "exchanges", descending=True, nulls_last=True)
    )


def price(found: pl.DataFrame, column: str, title: str, known: parts.Colours) -> None:
    st.markdown(f"**{title}**")
    rows = found.filter(pl.col(column) > 0).sort(column, descending=True)
    option = charts.bars(
        [charts.name_of(name, "group") for name in rows["name"]],
        rows[column].to_list(),
        [figures.usd(value) for value in rows[column]],
        [colour(name, "group", known) for name in rows["name"]],
    )
    st.echarts_chart(option, height=charts.height(rows.height), key=column, alt=title)


def speed(found: pl.DataFrame, name: str, title: str, unit: str, known: parts.Colours) -> None:
    st.markdown(f"**{title}**")
    rows = found.filter(pl.col(f"p50_{name}").is_not_null())
    if rows.is_empty():
        st.caption("Nothing known.")
        return
    option = shapes.spread(
        [charts.name_of(each, "group") for each in rows["name"]],
        rows.select(f"p50_{name}", f"p95_{name}", f"p99_{name}").rows(),
        [colour(each, "group", known) for each in rows["name"]],
        unit=unit,
    )
    st.echarts_chart(option, height=charts.height(rows.height) + 40, key=name, alt=title)


pages.live(page)
