"""Savings: what need not have been paid, which prompts became dearer, and what if."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from analytics.queries.shares import shares
from analytics.reports.prompts import Prompts, prompts
from analytics.reports.waste import Waste, waste
from analytics.reports.whatif import Target, UnknownTarget, whatif
from dashboard import charts, drill, figures, kept_answers, pages, parts
from dashboard.colours import BAD
from dashboard.reading import View, price_book
from dashboard.texts import literal, visible

VIEWS = {"waste": "Waste", "prompts": "Prompt versions", "whatif": "What if"}
KINDS = {
    "exact_duplicate": "Same request again",
    "near_duplicate": "Nearly the same request",
    "failed": "Failed, and billed",
    "cut": "Answers cut by the limit",
    "oversized_model": "Model larger than needed",
    "broken_prefix": "Prompt that breaks the cache",
    "uncached_prefix": "Prompt that is not cached",
    "stream_without_usage": "Streams without usage",
}

LOOKED_AT = 15_000
"""So many of the newest exchanges, for an answer at once."""


def page(now: View) -> None:
    chosen = st.segmented_control(
        "Look at",
        tuple(VIEWS),
        default="waste",
        required=True,
        format_func=VIEWS.__getitem__,
        key="savings",
        bind="query-params",
        label_visibility="collapsed",
    )
    {"waste": show_waste, "prompts": show_prompts, "whatif": show_whatif}[chosen or "waste"](now)


def show_waste(now: View) -> None:
    total = now.ask(shares, "provider", now.selection, limit=1).filter(part="total")
    if not total["exchanges"].sum():
        pages.nothing_selected(now)
        return
    with st.grid(3, min_column_width=180, gap="small"):
        st.metric("Spent", literal(figures.usd(total["cost_usd"][0])), border=True)
        st.metric("Requests", figures.count(total["exchanges"][0]), border=True)
        saved = st.container()
    kept_answers.panel(now)
    with st.skeleton(height=280):
        found = now.ask(waste, price_book(now.settings), now.selection, most=LOOKED_AT)
        _wasted(found, saved)


def _wasted(found: Waste, saved: DeltaGenerator) -> None:
    rows = found.summary.to_dicts()
    whole = next(row for row in rows if row["kind"] == "all")
    kinds = [row for row in rows if row["kind"] != "all" and row["exchanges"]]
    kinds.sort(key=lambda row: row["counted_usd"] or Decimal(0), reverse=True)
    saved.metric("Could be saved", literal(figures.usd(whole["counted_usd"])), border=True)
    with st.container(border=True):
        st.markdown("**By kind, each dollar counted once**")
        if not kinds:
            st.caption("No waste was found.")
            return
        amounts = figures.usds([row["counted_usd"] for row in kinds])
        option = charts.bars(
            [KINDS.get(row["kind"], row["kind"]) for row in kinds],
            [figures.number(row["counted_usd"]) for row in kinds],
            [
                f"{amount}  in {row['exchanges']:,}"
                for amount, row in zip(amounts, kinds, strict=True)
            ],
            [BAD] * len(kinds),
        )
        st.echarts_chart(option, height=charts.height(len(kinds)), key="kinds", alt="Waste by kind")
    if found.exchanges < found.selected:
        st.caption(
            f"Looked at the newest {found.exchanges:,} of {found.selected:,} requests; "
            "`meterline report waste` looks at more."
        )
    for row in kinds:
        _kind(row, found.findings.filter(kind=row["kind"]))


def _kind(row: dict[str, Any], findings: pl.DataFrame) -> None:
    title = f"{KINDS.get(row['kind'], row['kind'])}: {figures.usd(row['counted_usd'])}"
    with st.expander(literal(title), key=f"kind-{row['kind']}"):
        st.text(visible(f"{row['what']}. {row['mend']}"))
        parts.table(
            findings,
            {
                "feature": ("Feature", "text"),
                "model": ("Model", "text"),
                "exchanges": ("Requests", "count"),
                "counted_usd": ("Could be saved", "usd"),
                "cost_usd": ("Of", "usd"),
                "detail": ("Detail", "text"),
            },
            key=f"findings-{row['kind']}",
            pick=_example,
            alt="Findings; select one to see an example",
        )


def _example(row: dict[str, Any]) -> None:
    if row["examples"]:
        drill.to_exchange(str(row["examples"][0]))


def show_prompts(now: View) -> None:
    found = now.ask(prompts, now.selection)
    if found.versions.is_empty():
        pages.nothing_selected(now)
        return
    _changes(found)
    with st.container(border=True):
        st.markdown("**Versions** · select one to see a request with it")
        parts.table(
            found.versions,
            {
                "feature": ("Feature", "text"),
                "version": ("Version", "count"),
                "first_at": ("First, UTC", "when"),
                "last_at": ("Last, UTC", "when"),
                "exchanges": ("Requests", "count"),
                "share": ("Share", "share"),
                "cost_usd_each": ("Per request", "price"),
                "cost_usd": ("Spend", "usd"),
                "input_tokens": ("Input tokens", "count"),
                "output_tokens": ("Output tokens", "count"),
                "cached": ("Cached", "rate"),
                "fingerprints": ("Fingerprints", "count"),
            },
            key="versions",
            pick=lambda row: drill.to_exchange(str(row["example"])),
            alt="Prompt versions by feature",
        )
    if found.unstable.height:
        with st.container(border=True):
            st.markdown("**Prompts that never stay the same**")
            st.caption("What differs early in a prompt keeps the provider's cache from working.")
            parts.table(
                found.unstable,
                {
                    "feature": ("Feature", "text"),
                    "fingerprints": ("Different prompts", "count"),
                    "exchanges": ("Requests", "count"),
                    "at_character": ("Differ at character", "count"),
                    "first": ("One says", "text"),
                    "second": ("Another says", "text"),
                },
                key="unstable",
                alt="Prompts without stable versions",
            )


def _changes(found: Prompts) -> None:
    st.markdown("**Changes**")
    if found.changes.is_empty():
        st.caption("No prompt changed in this window.")
    for number, row in enumerate(found.changes.to_dicts()):
        change = figures.change(row["cost_usd"], row["cost_usd_before"])
        title = f"{row['feature'] or 'not labelled'}, version {row['version']}, {row['at']:%d %b}"
        if change:
            title += f": {change} a request"
        with st.expander(literal(title), icon=":material/difference:", key=f"change-{number}"):
            with st.grid(4, min_column_width=150, gap="small"):
                parts.metric(
                    "Per request", row["cost_usd"], row["cost_usd_before"], show=figures.usd
                )
                parts.metric("Input tokens", row["input_tokens"], row["input_tokens_before"])
                parts.metric("Output tokens", row["output_tokens"], row["output_tokens_before"])
                since = figures.usd(row["cost_usd_since"])
                st.metric("Since then", literal(since), border=True, height="stretch")
            clear = "clear" if row["is_clear"] else "within what chance does"
            other = "; the models changed too" if row["models_changed"] else ""
            st.caption(literal(f"The difference is {clear}{other}."))
            if row["diff"]:
                st.code(visible(row["diff"], "\n\t"), language="diff", wrap_lines=True)
            else:
                st.caption("The texts are not stored.")


def show_whatif(now: View) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        model = st.text_input(
            "Model", key="to", bind="query-params", placeholder="gpt-4o-mini", width=280
        )
        provider = st.text_input(
            "Provider", key="at", bind="query-params", placeholder="any", width=160
        )
    if not model:
        st.caption("Name a model to see what the selected requests would have cost with it.")
        return
    try:
        target = Target(model.strip(), provider.strip() or None if provider else None)
        found = now.ask(whatif, price_book(now.settings), now.selection, (target,), now.now)
    except UnknownTarget as error:
        st.warning(literal(str(error)), icon=":material/search_off:")
        return
    if found.summary.is_empty():
        pages.nothing_selected(now)
        return
    _compared(found.summary.row(0, named=True))
    with st.container(border=True):
        st.markdown("**By feature and model in use**")
        parts.table(
            found.groups,
            {
                "feature": ("Feature", "text"),
                "from_model": ("Model in use", "text"),
                "exchanges": ("Requests", "count"),
                "cost_usd": ("Cost", "usd"),
                "cost_there_usd": ("There", "usd"),
                "change_usd": ("Difference", "usd"),
                "uncached_usd": ("There without cache", "usd"),
                "factor_origin": ("Token counts", "text"),
            },
            key="compared",
            alt="What each feature would have cost",
        )
    left_out = found.left_out.filter(pl.col("exchanges") > 0)
    if left_out.height:
        st.caption("Not compared:")
        parts.table(
            left_out,
            {
                "reason": ("Reason", "text"),
                "exchanges": ("Requests", "count"),
                "cost_usd": ("Cost", "usd"),
            },
            key="left-out",
            alt="What was not compared",
        )


def _compared(row: dict[str, Any]) -> None:
    with st.grid(4, min_column_width=170, gap="small"):
        st.metric("As it was", literal(figures.usd(row["cost_usd"])), border=True, height="stretch")
        parts.metric("There", row["cost_there_usd"], row["cost_usd"], show=figures.usd)
        st.metric(
            "Without a cache",
            literal(figures.usd(row["uncached_usd"])),
            border=True,
            height="stretch",
        )
        st.metric("Requests", figures.count(row["exchanges"]), border=True, height="stretch")
    low, high = figures.usd(row["low_usd"]), figures.usd(row["high_usd"])
    st.caption(
        literal(f"Between {low} and {high}, as far as token counts of other tokenizers are known. ")
        + "The same answers are supposed, which another model need not give."
    )


pages.live(page, renews=False)
