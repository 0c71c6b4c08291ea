"""Users and features: who and what it is for, and how that changes."""

from __future__ import annotations

import polars as pl
import streamlit as st

from analytics.queries.over_time import over_time
from analytics.queries.people import Sort, people
from analytics.queries.shares import shares
from dashboard import charts, figures, pages, parts
from dashboard.reading import View
from dashboard.texts import literal

MANY = 200
ORDERS: dict[Sort, str] = {
    "cost": "Spend",
    "change": "Change",
    "exchanges": "Requests",
    "latest": "Last seen",
}
COLUMNS: dict[str, tuple[str, parts.Shown]] = {
    "state": ("", "text"),
    "cost_usd": ("Spend", "usd"),
    "cost_share": ("Share", "share"),
    "cost_change_usd": ("Change", "usd"),
    "cost_change": ("in %", "rate"),
    "exchanges": ("Requests", "count"),
    "per_call": ("Per request", "price"),
    "errors": ("Errors", "count"),
    "input_tokens": ("In", "count"),
    "output_tokens": ("Out", "count"),
    "first_at": ("First seen", "when"),
    "last_at": ("Last seen", "when"),
}


def page(now: View) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        who = parts.by("who", ("feature", "user", "environment", "client", "key"))
        order = st.segmented_control(
            "Sort",
            tuple(ORDERS),
            default="cost",
            required=True,
            format_func=ORDERS.__getitem__,
            key="order",
            bind="query-params",
            label_visibility="collapsed",
        )
    found = now.ask(people, who, now.selection, now.earlier, limit=MANY, sort=order or "cost")
    if found.is_empty():
        pages.nothing_selected(now)
        return
    counts(found, who)
    pictures(now, who)
    with st.container(border=True):
        st.markdown(f"**Every {parts.TITLES[who].lower()}** · select one to look at it alone")
        title: tuple[str, parts.Shown] = (parts.TITLES[who], "text")
        is_plain = found.filter(pl.col("state") != "known").is_empty()
        columns = {name: each for name, each in COLUMNS.items() if name != "state" or not is_plain}
        shown = found.with_columns(
            pl.when(pl.col("exchanges") > 0)
            .then(pl.col("cost_usd").cast(pl.Float64) / pl.col("exchanges"))
            .alias("per_call"),
            pl.col("state").replace({"known": ""}),
            pl.col("name").fill_null("not labelled").alias("shown"),
        )
        parts.table(
            shown,
            {"shown": title, **columns},
            key=f"people-{who}",
            pick=lambda row: parts.only(who, row["name"]),
            alt=f"Each {who} with its spend and trend",
        )
        if found.height == MANY:
            st.caption(f"The first {MANY:,}. Filter to see others.")


def counts(found: pl.DataFrame, who: str) -> None:
    largest = found.sort("cost_share", descending=True, nulls_last=True).row(0, named=True)
    with st.grid(4, min_column_width=150, gap="small"):
        many = f"{parts.TITLES[who]}s" if found.height < MANY else f"{parts.TITLES[who]}s shown"
        st.metric(many, figures.count(found.filter(pl.col("exchanges") > 0).height), border=True)
        st.metric("New", figures.count(found.filter(state="new").height), border=True)
        st.metric("Gone", figures.count(found.filter(state="gone").height), border=True)
        name = charts.name_of(largest["name"], "group")
        st.metric(
            "Largest",
            literal(figures.share(largest["cost_share"])),
            border=True,
            help=literal(name),
        )


def pictures(now: View, who: str) -> None:
    left, right = st.columns([2, 3])
    known = now.colours(who)
    with left, st.container(border=True, height="stretch"):
        st.markdown("**The largest**")
        found = now.ask(shares, who, now.selection, limit=8)
        parts.ranking(found, who, known, key=f"largest-{who}", alt=f"Spend by {who}")
    with right, st.container(border=True, height="stretch"):
        st.markdown(f"**Spend by {now.bucket}**")
        course = now.ask(over_time, now.selection, by=who, bucket=now.bucket, limit=8, now=now.now)
        option = charts.stacked(course, "cost_usd", known, bucket=now.bucket)
        st.echarts_chart(option, height=310, key="course", alt=f"Spend over time by {who}")


pages.live(page)
