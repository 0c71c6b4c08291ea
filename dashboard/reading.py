"""What a page reads: the settings, the filters of its viewer, and answers about the store.

Owns the view, which is one look at the store at one moment. The only module that joins Streamlit's
session with the queries; pages ask through it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from analytics import store
from analytics.prices import PriceBook
from analytics.queries import Selection, before
from analytics.queries.choices import choices
from analytics.queries.over_time import Bucket, bucket_for
from dashboard.answers import Answers, P, Query, T
from dashboard.colours import colours
from dashboard.filters import Filters, filters_of
from proxy.config import Settings, load


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One look: what to select, the window before, and the store that answers."""

    settings: Settings
    filters: Filters
    now: datetime
    selection: Selection
    earlier: Selection | None
    answers: Answers

    def ask(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See Answers.ask."""
        return self.answers.ask(query, *args, **kwargs)

    @property
    def bucket(self) -> Bucket:
        return bucket_for(self.selection.window, self.now)

    def colours(self, by: str) -> Mapping[str, str]:
        """The colours of a dimension's values; the most frequent of all time choose first."""
        found = self.answers.ask_seldom(choices, by, Selection(), limit=60)
        return colours([name for name in found["name"] if name is not None])


def view() -> View:
    """The present view of this session."""
    settings = load()
    answers = _answers(str(settings.store_path))
    filters = filters_of(_state())
    now = answers.moment(datetime.now(UTC))
    selection = filters.selection(now)
    return View(
        settings=settings,
        filters=filters,
        now=now,
        selection=selection,
        earlier=before(selection, now),
        answers=answers,
    )


def price_book(settings: Settings) -> PriceBook:
    """The prices of these settings; made once."""
    return _price_book(repr(settings.prices), settings)


def is_empty(con: store.Connection) -> bool:
    """Whether there is no exchange at all."""
    return con.execute("SELECT 1 FROM exchanges LIMIT 1").fetchone() is None


def _state() -> Mapping[str, Any]:
    return {str(key): value for key, value in st.session_state.items()}


@st.cache_resource(show_spinner=False, max_entries=8)
def _answers(path: str) -> Answers:
    from pathlib import Path

    return Answers(Path(path))


@st.cache_resource(show_spinner=False, max_entries=4)
def _price_book(_: str, _settings: Settings) -> PriceBook:
    return PriceBook.of(_settings)
