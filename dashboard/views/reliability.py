"""Reliability: what fails, where and when, what was tried again, and what is slow."""

from __future__ import annotations

from functools import partial
from typing import Any

import polars as pl
import streamlit as st

from analytics.queries.decisions import decisions
from analytics.queries.failures import OUTCOMES, error_kinds, failed_attempts, failures
from analytics.queries.listing import listing
from analytics.queries.over_time import durations_over_time, over_time
from dashboard import charts, drill, figures, pages, parts
from dashboard.arms import arms_of
from dashboard.breakers import breakers
from dashboard.colours import PALETTE
from dashboard.reading import View
from dashboard.texts import literal

MOST_DECISIONS = 200
WORDS = {
    "provider_error": "Provider errors",
    "upstream_failed": "Broken answers",
    "timed_out": "Timeouts",
    "client_disconnected": "Client left",
    "interrupted": "Interrupted",
    "refused": "Refused by a rule",
    "rate_limited": "Rate limited",
    "declined": "Declined by the model",
    "retried": "Tried again",
    "recovered": "Saved by that",
}


def page(now: View) -> None:
    found = now.ask(failures, "provider", now.selection, limit=12)
    total = found.filter(part="total").row(0, named=True)
    if total["exchanges"] == 0:
        pages.nothing_selected(now)
        return
    figures_of(now, total)
    over(now)
    by_group(now)
    kinds(now)
    tries(now)
    arms_of(now)
    with st.container(border=True):
        st.markdown("**Slowest requests** · select one to read it")
        parts.exchanges(now.ask(listing, now.selection, sort="duration", limit=10), key="slowest")


def figures_of(now: View, total: dict[str, Any]) -> None:
    before: dict[str, Any] = {}
    if now.earlier is not None:
        before = now.ask(failures, "provider", now.earlier).filter(part="total").row(0, named=True)
    shown = {
        "error_share": ("Error rate", figures.share),
        "errors": ("Errors", figures.count),
        "rate_limited": ("Rate limited", figures.count),
        "retried": ("Tried again", figures.count),
        "recovered": ("Saved by that", figures.count),
        "error_cost_usd": ("Paid for errors", figures.usd),
    }
    parts.six_metrics(
        [
            partial(
                parts.metric,
                title,
                total[name],
                before.get(name),
                show=show,
                is_worse=None if name in ("retried", "recovered") else True,
            )
            for name, (title, show) in shown.items()
        ]
    )


def over(now: View) -> None:
    left, right = st.columns(2)
    with left, st.container(border=True, height="stretch"):
        st.markdown(f"**Errors by {now.bucket} and provider**")
        found = now.ask(
            over_time,
            now.selection,
            by="provider",
            bucket=now.bucket,
            sort="errors",
            now=now.now,
        )
        option = charts.stacked(
            found, "errors", now.colours("provider"), bucket=now.bucket, unit="count"
        )
        st.echarts_chart(option, height=270, key="errors-over", alt="Errors over time")
    with right, st.container(border=True, height="stretch"):
        st.markdown("**How long answers take**")
        course = now.ask(durations_over_time, now.selection, bucket=now.bucket, now=now.now)
        option = charts.lines(
            course,
            {
                "p50_seconds": ("p50", PALETTE[4]),
                "p95_seconds": ("p95", PALETTE[0]),
                "p99_seconds": ("p99", PALETTE[3]),
                "p50_first_chunk_seconds": ("first chunk p50", PALETTE[1]),
            },
            bucket=now.bucket,
        )
        st.echarts_chart(option, height=270, key="durations", alt="Durations over time")


def by_group(now: View) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("**Where it fails**", width="stretch")
            by = parts.by("where", ("provider", "model", "feature", "upstream", "user"))
        found = now.ask(failures, by, now.selection, limit=12)
        rows = found.filter(pl.col("part") != "total").with_columns(
            pl.when(pl.col("part") == "rest")
            .then(pl.lit("others"))
            .otherwise(pl.col("name").fill_null("not labelled"))
            .alias("shown")
        )
        kinds: dict[str, tuple[str, parts.Shown]] = {
            name: (WORDS[name], "count")
            for name in (*OUTCOMES, "rate_limited", "declined", "retried", "recovered")
            if rows[name].sum()
        }
        parts.table(
            rows,
            {
                "shown": (parts.TITLES[by], "text"),
                "exchanges": ("Requests", "count"),
                "error_share": ("Error rate", "rate"),
                "errors": ("Errors", "count"),
                **kinds,
                "error_cost_usd": ("Paid for errors", "usd"),
            },
            key=f"failures-{by}",
            pick=lambda row: parts.only(by, row["name"]) if row["part"] == "group" else None,
            alt=f"Failures by {by}",
        )


def kinds(now: View) -> None:
    found = now.ask(error_kinds, now.selection, limit=30)
    with st.container(border=True):
        st.markdown("**Kinds of errors** · select one to see the latest")
        if found.is_empty():
            st.caption("None in this window.")
            return
        parts.table(
            found.with_columns(pl.col("outcome").replace(WORDS)),
            {
                "provider": ("Provider", "text"),
                "outcome": ("Outcome", "text"),
                "status": ("HTTP", "text"),
                "error_type": ("Error", "text"),
                "errors": ("Count", "count"),
                "share": ("Share", "share"),
                "users": ("Users", "count"),
                "last_at": ("Last, UTC", "when"),
                "last_message": ("Its message", "text"),
            },
            key="kinds",
            pick=lambda row: drill.to_exchange(row["last_exchange_id"]),
            alt="Kinds of errors, the most frequent first",
        )


def tries(now: View) -> None:
    failed = now.ask(failed_attempts, now.selection, limit=20)
    decided = now.ask(decisions, now.selection, limit=MOST_DECISIONS)
    if failed.height:
        with st.container(border=True):
            wait = failed["wait_seconds"].sum()
            st.markdown("**Attempts that failed**")
            st.caption(literal(f"Callers waited {figures.seconds(float(wait))} for them in all."))
            parts.table(
                failed,
                {
                    "upstream": ("Upstream", "text"),
                    "status": ("HTTP", "text"),
                    "error_type": ("Error", "text"),
                    "attempts": ("Attempts", "count"),
                    "later_completed": ("Completed later", "count"),
                    "wait_seconds": ("Waited", "seconds"),
                    "last_at": ("Last, UTC", "when"),
                },
                key="tries",
                alt="Failed attempts by upstream",
            )
    if decided.height:
        with st.container(border=True):
            st.markdown("**What rules did**")
            _states(decided)
            parts.table(
                decided,
                {
                    "policy": ("Policy", "text"),
                    "rule": ("Rule", "text"),
                    "action": ("Action", "text"),
                    "decisions": ("Times", "count"),
                    "exchanges": ("Requests", "count"),
                    "last_at": ("Last, UTC", "when"),
                    "last_reason": ("Its reason", "text"),
                },
                key="decisions",
                alt="Decisions of policies",
            )


def _states(decided: pl.DataFrame) -> None:
    """The upstreams that a breaker leaves alone, as far as calls told."""
    for row in breakers(decided).to_dicts():
        icon, colour = ("block", "red") if row["state"] == "open" else ("check_circle", "green")
        st.badge(
            literal(f"{row['upstream']}: breaker {row['state']} since {figures.when(row['at'])}"),
            icon=f":material/{icon}:",
            color=colour,  # type: ignore[arg-type]
        )


pages.live(page)
