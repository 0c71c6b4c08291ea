"""Sessions: what conversations and agent runs took and cost, and one of them step by step."""

from __future__ import annotations

import polars as pl
import streamlit as st

from analytics.queries.session import session
from analytics.queries.sessions import Sort, sessions
from dashboard import drill, figures, pages, parts, shapes
from dashboard.filters import NONE
from dashboard.reading import View
from dashboard.texts import literal

MANY, MOST_STEPS = 100, 120
ORDERS: dict[Sort, str] = {
    "cost": "Spend",
    "latest": "Latest",
    "exchanges": "Rounds",
    "errors": "Errors",
}


def page(now: View) -> None:
    chosen = now.filters.values.get("session", ())
    if len(chosen) == 1 and chosen[0] != NONE:
        one(now, chosen[0])
    else:
        every(now)


def every(now: View) -> None:
    order = st.segmented_control(
        "Sort",
        tuple(ORDERS),
        default="cost",
        required=True,
        format_func=ORDERS.__getitem__,
        key="sessions-by",
        bind="query-params",
        label_visibility="collapsed",
    )
    found = now.ask(sessions, now.selection, limit=MANY, sort=order or "cost")
    if found.is_empty():
        pages.nothing_selected(now)
        st.caption("Sessions are what `Meterline-Session` names.")
        return
    parts.table(
        found,
        {
            "session_id": ("Session", "text"),
            "feature": ("Feature", "text"),
            "user_id": ("User", "text"),
            "started_at": ("Began, UTC", "when"),
            "seconds": ("Took", "clock"),
            "exchanges": ("Requests", "count"),
            "tool_calls": ("Tool calls", "count"),
            "errors": ("Errors", "count"),
            "cost_usd": ("Cost", "usd"),
            "input_tokens": ("In", "count"),
            "output_tokens": ("Out", "count"),
            "models": ("Models", "text"),
        },
        key="sessions",
        height=640,
        pick=lambda row: drill.to({"session": [row["session_id"]]}),
        alt="Sessions; select a row to see one in its steps",
    )
    if found.height == MANY:
        st.caption(f"The first {MANY:,} in this order. Filter to see others.")


def one(now: View, session_id: str) -> None:
    found = now.ask(session, session_id)
    if found.is_empty():
        pages.nothing_selected(now)
        return
    whole = found.row(0, named=True)
    if st.button("All sessions", icon=":material/arrow_back:", key="all-sessions"):
        drill.to({"session": []})
    with st.grid(6, min_column_width=130, gap="small"):
        st.metric("Cost", literal(figures.usd(whole["cost_usd"])), border=True)
        st.metric("Took", figures.seconds(whole["seconds"]), border=True)
        st.metric("Requests", figures.count(whole["exchanges"]), border=True)
        st.metric("Tool calls", figures.count(whole["tool_calls"]), border=True)
        st.metric("Retries", figures.count(whole["retries"]), border=True)
        st.metric("Errors", figures.count(whole["errors"]), border=True)
    with st.container(border=True):
        st.markdown("**Step by step** · select a bar to read the request")
        steps(now, found)
    with st.container(border=True):
        st.markdown("**Requests**")
        calls = found.filter(kind="call")
        parts.table(
            calls,
            {
                "round": ("Round", "count"),
                "offset_seconds": ("After", "seconds"),
                "name": ("Model", "text"),
                "seconds": ("Took", "seconds"),
                "tool_calls": ("Tool calls", "count"),
                "input_tokens": ("In", "count"),
                "output_tokens": ("Out", "count"),
                "cost_usd": ("Cost", "usd"),
                "outcome": ("Outcome", "text"),
                "error_type": ("Error", "text"),
            },
            key="calls",
            pick=lambda row: drill.to_exchange(row["exchange_id"]),
            alt="The requests of this session",
        )


def steps(now: View, found: pl.DataFrame) -> None:
    shown = found.slice(1, MOST_STEPS)
    option = shapes.steps(shown, now.colours("model"))
    event = st.echarts_chart(
        option,
        height=max(140, 24 * shown.height + 40),
        key="steps",
        on_select="rerun",
        alt="The steps of this session over time",
    )
    place = parts.fresh("steps", event)
    if place is not None and (exchange_id := shown["exchange_id"][place]) is not None:
        drill.to_exchange(exchange_id)
    if found.height - 1 > MOST_STEPS:
        st.caption(f"The first {MOST_STEPS:,} of {found.height - 1:,} steps.")


pages.live(page)
