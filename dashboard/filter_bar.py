"""The filter bar that all pages share: the window, filters, and whether the view is live.

Owns its widgets. Each is bound to the address bar, so that a link shares the view.
"""

from __future__ import annotations

from datetime import timedelta

import streamlit as st

from analytics import store
from analytics.queries import TAG, Selection
from analytics.queries.choices import choices, tag_names
from analytics.windows import Window
from dashboard import drill
from dashboard.filters import FIRST, NAMES, PRESETS, Filters, filters_of, label
from dashboard.reading import View, view
from dashboard.texts import literal, shortened

_TITLES = {
    "feature": "Feature",
    "model": "Model",
    "provider": "Provider",
    "user": "User",
    "session": "Session",
    "environment": "Environment",
    "outcome": "Outcome",
    "status": "HTTP status",
}
_OFFERED_DAYS = 35
_MOST_TAGS = 8


def show(title: str) -> None:
    """Draw the title and the bar of a page."""
    with st.container(horizontal=True, vertical_alignment="center", key="bar"):
        st.subheader(title, anchor=False, width="stretch")
        st.segmented_control(
            "Window",
            PRESETS,
            default=FIRST,
            required=True,
            key="last",
            bind="query-params",
            label_visibility="collapsed",
        )
        _popover(len(list(filters_of(_all()).active())))
        st.toggle(
            "Live", value=True, key="live", bind="query-params", help="Renews itself as calls come"
        )
    if st.session_state.get("last") == "custom":
        st.date_input("Days (UTC), both included", value=[], key="days", bind="query-params")
    _chips(filters_of(_all()))


def title(text: str) -> None:
    """The title of a page without filters."""
    st.subheader(text, anchor=False)


def _all() -> dict[str, object]:
    return {str(key): value for key, value in st.session_state.items()}


def _popover(active: int) -> None:
    name = f"Filters ({active})" if active else "Filters"
    popover = st.popover(name, icon=":material/filter_list:", key="filters", on_change="rerun")
    with popover:
        offered = _offered() if popover.open else {}
        for key in NAMES:
            st.multiselect(
                _TITLES[key],
                offered.get(key, []),
                key=key,
                bind="query-params",
                accept_new_options=True,
                select_all=False,
                placeholder="Any",
            )
        st.multiselect(
            "Tag",
            offered.get("tag", []),
            key="tag",
            bind="query-params",
            accept_new_options=True,
            select_all=False,
            placeholder="Any, or NAME=VALUE",
        )
        st.toggle("Errors only", key="errors", bind="query-params")


def _offered() -> dict[str, list[str]]:
    """What can be chosen: the frequent values of the last weeks."""
    try:
        now = view()
        ask = now.answers.ask_seldom
        day = now.now.replace(hour=0, minute=0)
        latest = Selection(window=Window(since=day - timedelta(days=_OFFERED_DAYS)))
        offered = {
            name: [label(each) for each in ask(choices, name, latest)["name"]] for name in NAMES
        }
        return offered | {"tag": _tags(now, latest)}
    except store.StoreError:
        return {}


def _tags(now: View, latest: Selection) -> list[str]:
    names = now.answers.ask_seldom(tag_names)["name"].to_list()[:_MOST_TAGS]
    return [
        f"{name}={value}"
        for name in names
        for value in now.answers.ask_seldom(choices, f"{TAG}{name}", latest, limit=30)["name"]
        if value is not None
    ]


def _chips(filters: Filters) -> None:
    """What hides something, each with a way to take it back."""
    active = list(filters.active())
    if not active:
        return
    with st.container(horizontal=True, gap="small"):
        for number, (name, value) in enumerate(active):
            text = "errors only" if name == "errors" else f"{name}: {shortened(value, 40)}"
            if st.button(
                literal(text),
                icon=":material/close:",
                icon_position="right",
                key=f"chip-{number}",
                help="Take this filter away",
            ):
                _without(filters, name, value)
        if len(active) > 1 and st.button("Clear all", type="tertiary", key="chip-all"):
            drill.to({**{key: [] for key in (*NAMES, "tag")}, "errors": False})


def _without(filters: Filters, name: str, value: str) -> None:
    if name == "errors":
        drill.to({"errors": False})
    given = filters.tags if name == "tag" else filters.values[name]
    drill.to({name: [each for each in given if each != value]})
