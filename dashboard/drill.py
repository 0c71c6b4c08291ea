"""Going from a figure to what is behind it: other filters, another page.

Owns the way there, and that filters outlive pages without a filter bar. Pages call `to`; the app
applies it before the bar is drawn, as Streamlit lets nobody change a widget afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import streamlit as st

from dashboard.filters import KEYS

_PENDING = "drill"
_KEPT = "filters-kept"


def to(changes: Mapping[str, Any], page: str | None = None) -> NoReturn:
    """Set filters (see dashboard.filters) and go to a page of views/; None stays on this one."""
    if page is None:
        st.session_state[_PENDING] = dict(changes)
        st.rerun()
    st.session_state[_PENDING] = {**_kept(), **changes}
    st.switch_page(f"views/{page}.py")


def to_exchange(exchange_id: str) -> NoReturn:
    """Show one exchange in full."""
    st.switch_page("views/exchange.py", query_params={"id": exchange_id})


def apply(*, has_bar: bool) -> None:
    """What a page wished for, before widgets are drawn; and what the bar had when it was last
    seen, where the page before had none."""
    if not has_bar:
        return
    wished = st.session_state.pop(_PENDING, None)
    if wished is None and not st.session_state.get("bar-drawn", True):
        wished = {key: value for key, value in _kept().items() if key not in st.session_state}
    for name, value in (wished or {}).items():
        st.session_state[name] = value


def keep(*, has_bar: bool) -> None:
    """Remember the filters once they are drawn."""
    st.session_state["bar-drawn"] = has_bar
    if has_bar:
        kept = {key: st.session_state[key] for key in KEYS if key in st.session_state}
        st.session_state[_KEPT] = kept


def _kept() -> dict[str, Any]:
    return dict(st.session_state.get(_KEPT) or {})
