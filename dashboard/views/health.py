"""Health: whether everything is recorded, how far the store is behind, and what is in use."""

from __future__ import annotations

import platform
import shutil
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import streamlit as st

from analytics import status, store
from analytics.queries import Selection
from analytics.queries.blind_spots import blind_spots, losses, unpriced
from dashboard import figures, pages, parts
from dashboard.reading import View
from dashboard.texts import literal, visible
from proxy.own import VERSION

KINDS = {
    "no_feature": "No feature",
    "no_user": "No user",
    "unpriced": "Without a price",
    "partly_priced": "Priced in part",
    "without_usage": "Usage unknown",
    "estimated": "Tokens estimated",
    "not_understood": "Unknown format",
    "not_readable": "Not readable",
    "cut_copy": "Copy cut",
    "interrupted": "Interrupted",
}
PACKAGES = ("duckdb", "polars", "streamlit", "aiohttp", "genai-prices", "tiktoken")


def page(now: View) -> None:
    posting(now)
    left, right = st.columns(2)
    with left:
        disk(now)
        lost(now)
    with right:
        versions()
    spots(now)
    settings(now)


def posting(now: View) -> None:
    found = status.read(now.settings.data_dir)
    moment = datetime.now(UTC)
    ago = found and found.last_posted_at and (moment - found.last_posted_at).total_seconds()
    waits = found and found.oldest_unposted_at
    lag = (moment - waits).total_seconds() if waits else 0.0 if found else None
    with st.grid(4, min_column_width=160, gap="small"):
        st.metric(
            "Last posted", f"{figures.seconds(ago)} ago" if ago else figures.UNKNOWN, border=True
        )
        st.metric(
            "Waiting in the journal",
            figures.size(found.backlog_bytes if found else None),
            border=True,
        )
        st.metric("Behind the traffic", figures.seconds(lag), border=True)
        st.metric("Lost, ever", figures.count(found.losses if found else None), border=True)
    if found is None:
        st.caption("The poster has not run here yet: `meterline up` starts it.")
    elif found.waiting_for:
        st.warning(literal(found.waiting_for), title="The poster waits", icon=":material/lock:")


def disk(now: View) -> None:
    data = now.settings.data_dir
    with st.container(border=True):
        st.markdown("**Disk**")
        sizes = {
            "Store": _size(now.settings.store_path),
            "Journal": sum(_size(path) or 0 for path in now.settings.journal_dir.glob("*")),
        }
        free = shutil.disk_usage(data).free if data.exists() else None
        with st.container(horizontal=True):
            for name, size in sizes.items():
                st.metric(name, figures.size(size))
            st.metric("Free", figures.size(free))
            st.metric("Exchanges", figures.count(now.ask(_count)))
        st.code(visible(str(data)), language=None)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _count(con: store.Connection) -> int:
    found = con.execute("SELECT count(*) FROM exchanges").fetchone()
    return int(found[0]) if found else 0


def lost(now: View) -> None:
    found = now.ask(losses, Selection())
    with st.container(border=True):
        st.markdown("**What could not be recorded**")
        if found.is_empty():
            st.caption(":material/check_circle: Nothing was lost.")
            return
        parts.table(
            found,
            {
                "reason": ("Reason", "text"),
                "count": ("Count", "count"),
                "last_at": ("Last, UTC", "when"),
                "detail": ("Where", "text"),
            },
            key="losses",
            alt="Losses by reason",
        )


def versions() -> None:
    with st.container(border=True):
        st.markdown("**Versions**")
        lines = [f"meterline {VERSION}", f"python {platform.python_version()}"]
        lines += [f"{name} {version(name)}" for name in PACKAGES]
        st.code("\n".join(lines), language=None)


def spots(now: View) -> None:
    with st.container(border=True):
        st.markdown("**What the figures do not see, of all time**")
        found = now.ask(blind_spots, Selection())
        shown = found.with_columns(found["kind"].replace(KINDS).alias("kind"))
        parts.table(
            shown.filter(shown["exchanges"] > 0),
            {
                "kind": ("Blind spot", "text"),
                "exchanges": ("Requests", "count"),
                "share": ("Of all", "share"),
                "cost_usd": ("Known cost", "usd"),
                "last_at": ("Last, UTC", "when"),
                "mend": ("Mend", "text"),
            },
            key="spots",
            alt="Blind spots",
        )
        missing = now.ask(unpriced, Selection(), limit=20)
        if missing.height:
            st.markdown("**Models without a price, or only in part**")
            parts.table(
                missing,
                {
                    "provider": ("Provider", "text"),
                    "model": ("Model", "text"),
                    "operation": ("Operation", "text"),
                    "cost_status": ("Price", "text"),
                    "exchanges": ("Requests", "count"),
                    "input_tokens": ("In", "count"),
                    "output_tokens": ("Out", "count"),
                },
                key="unpriced",
                alt="Models without a price",
            )


def settings(now: View) -> None:
    with st.expander("Settings in use", icon=":material/settings:"):
        st.caption("Secrets are not among them: the settings only name environment variables.")
        st.code(visible(now.settings.model_dump_json(indent=2), "\n"), language="json")


pages.live(page)
