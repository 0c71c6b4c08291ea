"""The frame of a page: it renews itself, and says so where it cannot show what is asked.

Owns the notices: no store yet, a store that another process holds, a damaged one, a selection in
which nothing is. Refuses to know any single page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from analytics import store
from dashboard import drill
from dashboard.reading import View, is_empty, view
from dashboard.texts import literal

EVERY_SECONDS = 5


def live(body: Callable[[View], None], *, renews: bool = True) -> None:
    """Draw a page. It renews itself alone, without the bar, while the view is live."""
    is_live = renews and bool(st.session_state.get("live", True))
    fragment = st.fragment(_guarded, run_every=EVERY_SECONDS if is_live else None, key="page")
    fragment(body)


def _guarded(body: Callable[[View], None]) -> None:
    above = st.container()
    try:
        now = view()
        with now.answers.sitting():
            if now.ask(is_empty):
                first_call(now)
                return
            body(now)
        if now.answers.held is not None:
            with above:
                _held(now)
    except store.StoreMissing:
        first_call(view())
    except store.StoreBusy as error:
        st.warning(
            literal(f"{error}. This page appears as soon as the file is free; traffic goes on."),
            title="The store is held by another process",
            icon=":material/lock:",
        )
    except store.StoreError as error:
        st.error(
            literal(f"{error}. The poster mends it; see meterline doctor."),
            title="The store cannot be read",
            icon=":material/error:",
        )


def _held(now: View) -> None:
    found = now.answers.found_at
    since = f"what was found at {found:%H:%M:%S} UTC" if found else "what is known"
    st.warning(
        literal(f"Another process holds the store. You see {since}; traffic goes on."),
        icon=":material/lock:",
    )


def first_call(now: View) -> None:
    """How to send the first call."""
    server = now.settings.server
    host = "127.0.0.1" if server.host in ("0.0.0.0", "::") else server.host
    url = f"http://{f'[{host}]' if ':' in host else host}:{server.port}"
    st.markdown("#### No exchange yet")
    st.markdown("Send one; it shows here a second later. This needs no key:")
    st.code(_CURL.format(url=url), language="bash", wrap_lines=True)
    st.markdown("Or point a client here. Only its base URL changes:")
    for name, line in _CLIENTS.items():
        st.caption(name)
        st.code(line.format(url=url), language="python", wrap_lines=True)
    st.caption("`meterline clients` has the lines for every other client.")


_CURL = """curl {url}/demo/v1/chat/completions -H 'Meterline-Feature: hello' \\
  -d '{{"model": "gpt-4o-mini", "messages": [{{"role": "user", "content": "Hello!"}}]}}'"""
_CLIENTS = {
    "OpenAI": 'client = OpenAI(base_url="{url}/openai/v1")',
    "Anthropic": 'client = Anthropic(base_url="{url}/anthropic")',
    "Gemini": 'client = genai.Client(http_options={{"base_url": "{url}/gemini"}})',
}


def nothing_selected(now: View) -> None:
    """A selection in which nothing is, and the ways out."""
    st.info(
        literal(f"No exchange matches ({now.selection.window})."), icon=":material/filter_list_off:"
    )
    wider: dict[str, Any] = {"last": "all"}
    with st.container(horizontal=True):
        if st.button("Show all time", key="all-time"):
            drill.to(wider)
        active = list(now.filters.active())
        if active and st.button("Clear the filters", key="no-filters"):
            drill.to({**{name: [] for name, _ in active if name != "errors"}, "errors": False})
