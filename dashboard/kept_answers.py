"""A panel of what the cache of answers brought, for the pages that want it.

Owns its words. Nothing is shown where no cache rule acted.
"""

from __future__ import annotations

import streamlit as st

from analytics.queries.kept_answers import kept_answers
from dashboard import parts
from dashboard.reading import View


def panel(now: View) -> None:
    found = now.ask(kept_answers, now.selection)
    if found.is_empty():
        return
    with st.container(border=True):
        st.markdown("**Answers from the cache**")
        st.caption(
            "A false hit: something alike was asked before, and what was answered then differs "
            "from the real answer."
        )
        parts.table(
            found,
            {
                "rule": ("Rule", "text"),
                "hits": ("Hits", "count"),
                "by_meaning": ("By meaning", "count"),
                "saved_usd": ("Saved", "usd"),
                "kept": ("Kept anew", "count"),
                "vectors_usd": ("Vectors cost", "usd"),
                "would_have_served": ("In the shadow", "count"),
                "false_share": ("False hits", "rate"),
            },
            key="kept-answers",
            alt="What each cache rule brought",
        )
