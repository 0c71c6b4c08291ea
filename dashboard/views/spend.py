"""Spend: what the money went to, by any two labels, and why it changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import streamlit as st

from analytics.queries import DIMENSIONS, TAG
from analytics.queries.choices import tag_names
from analytics.queries.cross import cross
from analytics.queries.over_time import over_time
from analytics.queries.shares import shares
from analytics.reports.change import change
from dashboard import charts, figures, pages, parts, shapes
from dashboard.reading import View, price_book
from dashboard.texts import literal, visible

CAUSES = {
    "traffic": "Traffic",
    "mix": "Model mix",
    "input_length": "Input length",
    "output_length": "Output length",
    "cache": "Cache",
    "price": "Price",
    "other": "Other",
}


MEASURES = {
    "exchanges": "Requests",
    "share of exchanges": "Share of requests",
    "share of input read from the cache": "Cached input",
    "input tokens per exchange": "Input tokens",
    "output tokens per exchange": "Output tokens",
}


def page(now: View) -> None:
    by, then = labels(now)
    found = now.ask(shares, by, now.selection, limit=10)
    if found["exchanges"].sum() == 0:
        pages.nothing_selected(now)
        return
    course(now, by)
    left, right = st.columns(2)
    with left, st.container(border=True, height="stretch"):
        st.markdown(f"**{literal(_title(by))}, the largest first**")
        parts.ranking(found, by, now.colours(by), key=f"spend-{by}", alt=f"Spend by {by}")
    crossed = now.ask(cross, by, then, now.selection)
    with right, st.container(border=True, height="stretch"):
        st.markdown(f"**{literal(_title(then))} within {literal(_title(by).lower())}**")
        option = shapes.treemap(crossed, now.colours(by))
        st.echarts_chart(option, height=360, key="areas", alt=f"Spend by {by} and {then} as areas")
    why(now, by)
    pivot(crossed, by, then)


def labels(now: View) -> tuple[str, str]:
    tags = [f"{TAG}{name}" for name in now.answers.ask_seldom(tag_names)["name"].to_list()[:20]]
    every = [*parts.DIMENSIONS, *(each for each in DIMENSIONS if each not in parts.DIMENSIONS)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        by = st.selectbox(
            "By", [*every, *tags], format_func=_title, key="by", bind="query-params", width=190
        )
        then = st.selectbox(
            "and by",
            [*every, *tags],
            index=1,
            format_func=_title,
            key="then",
            bind="query-params",
            width=190,
        )
    return by, then


def _title(name: str) -> str:
    return f"Tag {name.removeprefix(TAG)}" if name.startswith(TAG) else parts.TITLES[name]


def course(now: View, by: str) -> None:
    with st.container(border=True):
        st.markdown(f"**Spend by {now.bucket}**")
        found = now.ask(over_time, now.selection, by=by, bucket=now.bucket, limit=8, now=now.now)
        option = charts.stacked(found, "cost_usd", now.colours(by), bucket=now.bucket)
        st.echarts_chart(option, height=300, key="course", alt=f"Spend by {now.bucket} and {by}")


def why(now: View, by: str) -> None:
    """The difference to the window before, divided among its causes."""
    if now.earlier is None:
        return
    found = now.ask(
        change, price_book(now.settings), now.selection, now.earlier.window, by=by, limit=8
    )
    total = found.groups.filter(part="total").row(0, named=True)
    before, after = (figures.number(total[name]) or 0.0 for name in ("cost_usd_before", "cost_usd"))
    with st.container(border=True):
        st.markdown(literal(_sentence(before, after)))
        left, right = st.columns([2, 3])
        causes = [
            (CAUSES.get(row["cause"], row["cause"]), float(row["usd"]))
            for row in found.summary.to_dicts()
            if row["cause"] in CAUSES and row["usd"]
        ]
        option = shapes.waterfall(before, causes, after, titles=("Before", "Now"))
        left.echarts_chart(option, height=300, key="why", alt="What made the difference")
        with right:
            _drivers(found.drivers, by)


def _sentence(before: float, after: float) -> str:
    change_ = figures.change(after, before)
    rest = f" ({change_})" if change_ else ""
    return f"Why it changed: {figures.usd(before)} before, {figures.usd(after)} now{rest}"


def _drivers(drivers: pl.DataFrame, by: str) -> None:
    rows = [
        {
            "name": charts.name_of(row["name"], row["part"]),
            "usd": row["usd"],
            "what": _measured(row),
            "model": row["model"],
        }
        for row in drivers.to_dicts()
    ]
    shown: dict[str, Any] = {
        "name": pl.String,
        "usd": pl.Decimal(38, 12),
        "what": pl.String,
        "model": pl.String,
    }
    parts.table(
        pl.DataFrame(rows, schema=shown),
        {
            "name": (_title(by), "text"),
            "usd": ("Change", "usd"),
            "what": ("Because", "text"),
            "model": ("Mostly", "text"),
        },
        key="drivers",
        alt="The largest causes of the change",
    )


def _measured(row: dict[str, Any]) -> str:
    """What a cause measured before and now, in words."""
    measure = str(row["measure"] or "")
    show: Callable[[Any], str] = figures.share if measure.startswith("share") else figures.count
    if "dollars" in measure:
        show = figures.usd
    title = MEASURES.get(measure, measure.replace("exchange", "request").capitalize())
    return f"{title} {show(row['before'])} \u2192 {show(row['after'])}"


def pivot(crossed: pl.DataFrame, by: str, then: str) -> None:
    with st.container(border=True):
        st.markdown("**As a table**")
        named = crossed.with_columns(
            _named("name", "part").alias("name"),
            _named("column_name", "column_part").alias("column"),
            pl.col("cost_usd").cast(pl.Float64),
        )
        wide = named.pivot(on="column", index="name", values="cost_usd", aggregate_function="first")
        if "others" in wide.columns:
            wide = wide.select(pl.exclude("others"), "others")
        wide = wide.rename({each: visible(each) for each in wide.columns[1:]})
        form = figures.usd_format([each for name in wide.columns[1:] for each in wide[name]])
        configs = {
            each: st.column_config.NumberColumn(each, format=form) for each in wide.columns[1:]
        }
        st.dataframe(
            wide.with_columns(parts.texts_of(wide["name"])),
            hide_index=True,
            key="pivot",
            placeholder="",
            column_config={"name": st.column_config.TextColumn(_title(by)), **configs},
            alt=f"Spend by {by} and {then}",
        )
        st.download_button(
            "All digits, as CSV",
            crossed.write_csv(),
            "spend.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )


def _named(name: str, part: str) -> pl.Expr:
    return (
        pl.when(pl.col(part) == "rest")
        .then(pl.lit("others"))
        .otherwise(pl.col(name).fill_null("not labelled"))
    )


pages.live(page)
