"""The foot of the sidebar: how far the store is behind the traffic, always in sight.

Owns that line alone.
"""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from analytics import status
from dashboard import figures
from proxy.config import load


def show() -> None:
    with st.sidebar:
        _state()


@st.fragment(run_every=5)
def _state() -> None:
    found = status.read(load().data_dir)
    now = datetime.now(UTC)
    if found is None or found.last_posted_at is None:
        return
    ago = max(0.0, (now - found.last_posted_at).total_seconds())
    line = f":material/check_circle: Posted {figures.seconds(ago)} ago"
    if found.waiting_for:
        line = ":material/lock: Posting waits"
    if found.backlog_bytes:
        line += f" · {figures.size(found.backlog_bytes)} waiting"
    st.caption(line)
    if found.losses:
        st.caption(f":red[:material/warning: {found.losses:,} lost], see Health")
