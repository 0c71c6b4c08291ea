"""Overview: what it costs, what for, and whether anything is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import polars as pl
import streamlit as st

from analytics.queries import Selection
from analytics.queries.blind_spots import blind_spots, losses
from analytics.queries.forecast import forecast
from analytics.queries.listing import listing
from analytics.queries.over_time import durations_over_time, over_time
from analytics.queries.overview import overview
from analytics.queries.shares import shares
from analytics.reports.anomalies import anomalies
from analytics.windows import Window
from dashboard import charts, drill, figures, pages, parts
from dashboard.budgets import told
from dashboard.filters import label
from dashboard.reading import View, price_book
from dashboard.sentences import sentence
from dashboard.texts import literal

Row = dict[str, Any]
TOP, STANDING_OUT = 6, 4


def page(now: View) -> None:
    found = now.ask(overview, now.selection, now.earlier)
    this = found.row(0, named=True)
    if this["exchanges"] == 0:
        pages.nothing_selected(now)
        return
    top, middle, slot = st.container(), st.container(border=True), st.container()
    with middle, st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**Spend by {now.bucket}**", width="stretch")
        by = parts.by()
    over = now.ask(over_time, now.selection, by=by, bucket=now.bucket, now=now.now)
    with top:
        before = found.row(1, named=True) if found.height > 1 else {}
        metrics(now, this, before, over.filter(part="total"))
    with middle:
        option = charts.stacked(over, "cost_usd", now.colours(by), bucket=now.bucket)
        st.echarts_chart(option, height=300, key="course", alt=f"Spend by {now.bucket} and {by}")
    rankings(now)
    with st.container(border=True):
        st.markdown("**Most expensive requests** · select one to read it")
        parts.exchanges(now.ask(listing, now.selection, sort="cost", limit=5), key="top-requests")
    left, right = st.columns(2)
    with left:
        month(now)
    with right:
        unseen(now)
    with slot:
        unusual(now)


def metrics(now: View, this: Row, before: Row, over: pl.DataFrame) -> None:
    """The figures of the window; `over` has their totals over time."""
    tokens = over.select(pl.col("input_tokens") + pl.col("output_tokens")).to_series()
    errors = over.select(pl.col("errors") / pl.col("exchanges")).to_series().fill_nan(None)
    read = pl.col("cache_read_tokens") / pl.col("input_tokens")
    cached = over.select(read).to_series().fill_nan(None)
    parts.six_metrics(
        (
            lambda: parts.metric(
                "Spend",
                this["cost_usd"],
                before.get("cost_usd"),
                show=figures.usd,
                trend=_floats(over["cost_usd"]),
            ),
            lambda: parts.metric(
                "Requests",
                this["exchanges"],
                before.get("exchanges"),
                trend=_floats(over["exchanges"]),
                is_worse=None,
            ),
            lambda: parts.metric(
                "Tokens", _tokens(this), _tokens(before), trend=_floats(tokens), is_worse=None
            ),
            lambda: parts.metric(
                "Errors",
                this["error_share"],
                before.get("error_share"),
                show=figures.share,
                trend=_floats(errors),
            ),
            lambda: latency(now, this, before),
            lambda: parts.metric(
                "Cache share",
                _cached(this),
                _cached(before),
                show=figures.share,
                trend=_floats(cached),
                is_worse=False,
                note="Input tokens read from the provider's cache, of all input tokens",
            ),
        )
    )


def latency(now: View, this: Row, before: Row) -> None:
    slow = now.ask(durations_over_time, now.selection, bucket=now.bucket, now=now.now)
    parts.metric(
        "p95 latency",
        this["p95_seconds"],
        before.get("p95_seconds"),
        show=figures.seconds,
        trend=_floats(slow["p95_seconds"]),
        note="Nineteen of twenty requests took less, from the request to the answer's end",
    )


def _floats(values: pl.Series) -> Sequence[float | None]:
    return [figures.number(value) for value in values]


def _tokens(row: Row) -> int | None:
    known = [row.get(name) for name in ("input_tokens", "output_tokens")]
    return sum(each for each in known if each is not None) if any(known) else None


def _cached(row: Row) -> float | None:
    read, whole = row.get("cache_read_tokens"), row.get("input_tokens")
    return read / whole if read is not None and whole else None


def unusual(now: View) -> None:
    """What is out of line, as far as there is a history to tell by. It takes seconds with much
    traffic, so the page does not wait for it."""
    hour = now.now.replace(minute=0)
    since = now.selection.window.since
    if since is None or hour - since < timedelta(days=2):
        return
    days = replace(now.selection.window, since=since.replace(hour=0, minute=0))
    selection = replace(now.selection, window=days)
    book = price_book(now.settings)
    found = now.answers.ask_later(anomalies, book, selection, hour, limit=STANDING_OUT)
    if found is None or found.findings.is_empty():
        return
    with st.container(border=True):
        st.markdown("**Out of line**")
        for number, row in enumerate(found.findings.to_dicts()):
            if st.button(
                literal(sentence(row)),
                icon=":material/north_east:",
                type="tertiary",
                key=f"unusual-{number}",
            ):
                days_of = [row["first_day"], row["last_day"]]
                chosen = (
                    {} if row["dimension"] == "all" else {row["dimension"]: [label(row["name"])]}
                )
                drill.to({"last": "custom", "days": days_of, **chosen}, "spend")


def rankings(now: View) -> None:
    with st.grid(3, min_column_width=275, gap="small"):
        for by, title in (("feature", "features"), ("model", "models"), ("user", "users")):
            with st.container(border=True, height="stretch"):
                st.markdown(f"**Top {title}**")
                parts.ranking(
                    now.ask(shares, by, now.selection, limit=TOP),
                    by,
                    now.colours(by),
                    key=f"top-{by}",
                    alt=f"Spend by {by}, the largest first",
                )


def month(now: View) -> None:
    filtered = replace(now.selection, window=Window())
    soon = now.now + timedelta(minutes=1)  # the minute that is passing counts
    found = now.answers.ask_seldom(forecast, filtered, soon).row(0, named=True)
    with st.container(border=True, height="stretch"):
        st.markdown(f"**{found['month']:%B}, as it goes on**")
        with st.container(horizontal=True):
            st.metric("So far", literal(figures.usd(found["spent_usd"])))
            st.metric("Month end", literal(figures.usd(found["forecast_usd"])))
            st.metric("Last month", literal(figures.usd(found["before_usd"])))
        st.caption(literal(_outlook(found)))
        budgets(now)


def budgets(now: View) -> None:
    """How far the budgets of the rules are used up."""
    for each in told(now.settings.rules, now.now):
        period = Selection(window=Window(since=each.since))
        found = now.answers.ask_seldom(shares, each.by, period, limit=1)
        row = found.filter(part="total" if each.per == "total" else "group")
        spent, whose = (row["cost_usd"][0], row["name"][0]) if row.height else (None, None)
        st.progress(
            min(1.0, float((spent or 0) / each.usd)),
            text=literal(each.line(spent, whose)),
        )


def _outlook(found: Row) -> str:
    if found["forecast_usd"] is None:
        return "A forecast needs three whole days of traffic."
    low, high = figures.usd(found["low_usd"]), figures.usd(found["high_usd"])
    growth = found["weekly_growth"]
    moved = f" ({growth:+.0%} in a week)" if growth is not None else ""
    return (
        f"{figures.share(found['interval'])} likely between {low} and {high}, from "
        f"{found['base_days']} days; a day costs {figures.usd(found['run_rate_usd'])} now{moved}. "
        f"Left out: {found['leaves_out']}."
    )


def unseen(now: View) -> None:
    spots = {row["kind"]: row for row in now.ask(blind_spots, now.selection).to_dicts()}
    lost = now.ask(losses, now.selection)["count"].sum()
    unlabelled, unpriced = spots["no_feature"], spots["unpriced"]
    with st.container(border=True, height="stretch"):
        st.markdown("**What these figures do not see**")
        with st.container(horizontal=True):
            st.metric("Without a price", figures.count(unpriced["exchanges"]))
            st.metric("Without a feature", figures.count(unlabelled["exchanges"]))
            st.metric("Usage unknown", figures.count(spots["without_usage"]["exchanges"]))
            st.metric("Lost", figures.count(int(lost)))
        cost = figures.usd(unlabelled["cost_usd"])
        st.caption(
            literal(f"{cost} has no feature. Mends: Health, and meterline doctor.")
            if unlabelled["exchanges"]
            else "Every request has a feature."
        )


pages.live(page)
