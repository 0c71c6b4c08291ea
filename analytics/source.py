"""Where a notebook asks, and how it names windows and filters.

Owns the meaning of `last`, a window as people write it (`7d`, `24h`, `today`, `2026-11-01`,
`2026-11-01..2026-11-07`, `all`), and of `where`, values by dimension: `{"feature": "chat"}`,
`{"model": ["gpt-4.1", "gpt-4o"]}`, `{"tag:team": "growth"}`; None stands for exchanges without
one. Refuses to ask anything itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from analytics import store
from analytics.queries import Selection
from analytics.windows import parse

Where = Mapping[str, str | Sequence[str | None] | None]


class Source:
    """A store, and the time there. Holds nothing open."""

    def __init__(self, path: Path, now: Callable[[], datetime] | None = None) -> None:
        self.path = path
        self.now = now or (lambda: datetime.now(UTC))

    def selection(self, last: str = "7d", where: Where | None = None) -> Selection:
        """The exchanges that a window and filters mean, for functions that take a Selection.

        Raises BadWindow and UnknownDimension.
        """
        return Selection(window=parse(last, self.now()), values=_values(where or {}))

    def open(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A read-only connection, for `with`; the poster waits meanwhile, so be short.

        Raises analytics.store.StoreError.
        """
        return store.read(self.path)


def _values(where: Where) -> dict[str, Sequence[str | None]]:
    return {
        name: [wanted] if wanted is None or isinstance(wanted, str) else list(wanted)
        for name, wanted in where.items()
    }
