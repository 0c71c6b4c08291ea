"""Requests: every exchange, filtered, sorted, page by page, and text search in what was said."""

from __future__ import annotations

import polars as pl
import streamlit as st

from analytics.queries.exchange import BadId, candidates, digits
from analytics.queries.listing import Sort, listing
from analytics.queries.over_time import over_time
from analytics.queries.search import listed, search
from dashboard import drill, pages, parts
from dashboard.reading import View
from dashboard.texts import literal

SIZE = 100
ORDERS: dict[Sort, str] = {
    "latest": "Latest first",
    "cost": "Most expensive first",
    "duration": "Slowest first",
    "tokens": "Most tokens first",
    "earliest": "Earliest first",
}
TAKEN = (
    *("exchange_id", "started_at", "feature", "model", "user_id", "cost_usd", "duration_seconds"),
    *("input_tokens", "output_tokens", "status", "outcome", "error_type", "session_id"),
)


def page(now: View) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = st.selectbox(
            "Sort",
            tuple(ORDERS),
            format_func=ORDERS.__getitem__,
            key="sort",
            bind="query-params",
            width=210,
        )
        wanted = st.text_input(
            "Search what was said",
            key="text",
            bind="query-params",
            placeholder="Words in prompts and answers",
            icon=":material/search:",
            width=320,
        )
        part = st.text_input(
            "Find by id", placeholder="Its beginning or end", icon=":material/tag:", width=220
        )
    if part:
        by_id(now, part)
    elif wanted and wanted.strip():
        by_text(now, wanted.strip())
    else:
        every(now, order)


def every(now: View, order: Sort) -> None:
    total = now.ask(over_time, now.selection, bucket="month", now=now.now)["exchanges"].sum()
    if not total:
        pages.nothing_selected(now)
        return
    count = max(1, -(-int(total) // SIZE))
    table, foot = (
        st.container(),
        st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
        ),
    )
    with foot:
        st.caption(f"{total:,} requests")
        number = st.pagination(count, key="page-number", bind="query-params")
    with table:
        found = now.ask(
            listing,
            now.selection,
            take=TAKEN,
            sort=order,
            limit=SIZE,
            offset=(min(number, count) - 1) * SIZE,
        )
        show(found)


def show(found: pl.DataFrame) -> None:
    parts.exchanges(found, key="requests", height=min(720, 38 + 35 * max(1, found.height)))


def by_text(now: View, text: str) -> None:
    hits = now.ask(search, now.selection, text)
    where = f"among the latest {hits.searched:,}" if not hits.is_whole else f"of {hits.searched:,}"
    st.caption(
        literal(f"{hits.found.height:,} with {text!r} {where} requests whose content was kept.")
    )
    if hits.found.height:
        show(now.ask(listed, tuple(hits.found["exchange_id"])))


def by_id(now: View, text: str) -> None:
    try:
        near = now.ask(candidates, digits(text), limit=20)
    except BadId as error:
        st.warning(literal(str(error)), icon=":material/tag:")
        return
    if near.is_empty():
        st.info(literal(f"No exchange has the id {text!r}."), icon=":material/tag:")
    elif near.height == 1:
        drill.to_exchange(near["exchange_id"][0])
    else:
        show(now.ask(listed, tuple(near["exchange_id"])))


pages.live(page)
