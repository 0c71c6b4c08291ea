"""Posting as tests do it: batch by batch, until nothing is left."""

from __future__ import annotations

from analytics.poster import Poster


def post_all(poster: Poster) -> int:
    """The number of rows."""
    rows = 0
    while True:
        result = poster.post_once()
        rows += result.rows
        if not result.behind:
            return rows
