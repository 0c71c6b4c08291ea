"""The handle that `analytics.connect` gives: the queries as methods, the reports, and SQL.

Owns that the file is open for one query at a time. What the frames mean is said by the queries
themselves, in analytics/queries; `last` and `where`, which every method takes, in
analytics/source.py. All raise analytics.store.StoreError where the store cannot be opened,
BadWindow and UnknownDimension.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import duckdb
import polars as pl

from analytics import store
from analytics.prices import PriceBook
from analytics.queries import Selection, before, frame
from analytics.queries.arms import arms
from analytics.queries.blind_spots import blind_spots, losses, unpriced
from analytics.queries.choices import choices
from analytics.queries.failures import error_kinds, failed_attempts, failures
from analytics.queries.forecast import forecast, forecast_by_day
from analytics.queries.listing import USUAL, Sort, listing
from analytics.queries.missing_usage import missing_usage
from analytics.queries.over_time import Bucket, bucket_for, durations_over_time, over_time
from analytics.queries.overview import overview
from analytics.queries.people import people
from analytics.queries.session import session
from analytics.queries.sessions import sessions
from analytics.queries.spend import spend
from analytics.queries.timing import timing
from analytics.queries.usage import usage
from analytics.report_methods import Reports
from analytics.source import Source, Where
from proxy.config import Settings, load

Query = Callable[[duckdb.DuckDBPyConnection], pl.DataFrame]


def handle_on(where: str | PathLike[str] | Settings | None) -> Handle:
    """See `analytics.connect`. Raises proxy.config.ConfigError."""
    if where is None or str(where).endswith(".toml"):
        where = load(None if where is None else str(where))
    if isinstance(where, Settings):
        return Handle(where.store_path, book=PriceBook.of(where))
    path = Path(where)
    return Handle(path / store.NAME if path.is_dir() else path)


class Handle(Source):
    """A store and the questions one can ask it. Holds nothing open.

    `reports` are the reports as methods; prices of one's own come from settings.
    """

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], datetime] | None = None,
        book: PriceBook | None = None,
    ) -> None:
        super().__init__(path, now)
        self.reports = Reports(self, book or PriceBook())

    def __repr__(self) -> str:
        return f"analytics.connect({str(self.path)!r})"

    def sql(self, statement: str, parameters: Sequence[Any] = ()) -> pl.DataFrame:
        """What a statement gives; `?` stands for a parameter. It can read the store only."""
        return self._ask(lambda con: frame(con, statement, parameters))

    def overview(self, last: str = "7d", where: Where | None = None) -> pl.DataFrame:
        """The window at a glance and the one before: queries.overview."""
        chosen = self.selection(last, where)
        return self._ask(lambda con: overview(con, chosen, before(chosen, self.now())))

    def spend(
        self,
        by: str = "feature",
        last: str = "7d",
        where: Where | None = None,
        *,
        limit: int = 10,
        sort: Literal["cost", "exchanges", "tokens"] = "cost",
    ) -> pl.DataFrame:
        """What cost how much, by a dimension: queries.spend."""
        chosen = self.selection(last, where)
        return self._ask(lambda con: spend(con, by, chosen, limit=limit, sort=sort))

    def usage(
        self, by: str = "model", last: str = "7d", where: Where | None = None, *, limit: int = 10
    ) -> pl.DataFrame:
        """Tokens by class, by a dimension: queries.usage."""
        chosen = self.selection(last, where)
        return self._ask(lambda con: usage(con, by, chosen, limit=limit))

    def timing(
        self, by: str = "model", last: str = "7d", where: Where | None = None, *, limit: int = 10
    ) -> pl.DataFrame:
        """Percentiles of durations and of output speed, by a dimension: queries.timing."""
        chosen = self.selection(last, where)
        return self._ask(lambda con: timing(con, by, chosen, limit=limit))

    def failures(
        self, by: str = "provider", last: str = "7d", where: Where | None = None, *, limit: int = 10
    ) -> pl.DataFrame:
        """Errors, retries and refusals, by a dimension: queries.failures."""
        chosen = self.selection(last, where)
        return self._ask(lambda con: failures(con, by, chosen, limit=limit))

    def error_kinds(self, last: str = "7d", where: Where | None = None) -> pl.DataFrame:
        """The kinds of errors, the most frequent first: queries.failures."""
        return self._of(error_kinds, last, where)

    def failed_attempts(self, last: str = "7d", where: Where | None = None) -> pl.DataFrame:
        """Tries that failed, also where another completed: queries.failures."""
        return self._of(failed_attempts, last, where)

    def arms(self, last: str = "7d", where: Where | None = None) -> pl.DataFrame:
        """Destinations between which rules share calls, compared: queries.arms."""
        return self._of(arms, last, where)

    def people(
        self,
        by: str = "user",
        last: str = "7d",
        where: Where | None = None,
        *,
        limit: int = 50,
        sort: Literal["cost", "exchanges", "change", "latest"] = "cost",
    ) -> pl.DataFrame:
        """Who uses it, since when, and the trend: queries.people."""
        chosen = self.selection(last, where)
        earlier = before(chosen, self.now())
        return self._ask(lambda con: people(con, by, chosen, earlier, limit=limit, sort=sort))

    def over_time(
        self,
        by: str | None = None,
        last: str = "30d",
        where: Where | None = None,
        *,
        bucket: Bucket | None = None,
        limit: int = 5,
        sort: Literal["cost", "exchanges", "errors", "tokens"] = "cost",
    ) -> pl.DataFrame:
        """Exchanges, errors, spend and tokens by bucket and group: queries.over_time."""
        chosen, now = self.selection(last, where), self.now()
        size = bucket or bucket_for(chosen.window, now)
        return self._ask(
            lambda con: over_time(con, chosen, by=by, bucket=size, limit=limit, sort=sort, now=now)
        )

    def durations_over_time(
        self, last: str = "30d", where: Where | None = None, *, bucket: Bucket | None = None
    ) -> pl.DataFrame:
        """Percentiles of durations by bucket: queries.over_time."""
        chosen, now = self.selection(last, where), self.now()
        size = bucket or bucket_for(chosen.window, now)
        return self._ask(lambda con: durations_over_time(con, chosen, bucket=size, now=now))

    def sessions(
        self,
        last: str = "7d",
        where: Where | None = None,
        *,
        limit: int = 50,
        sort: Literal["latest", "cost", "exchanges", "errors"] = "latest",
    ) -> pl.DataFrame:
        """Conversations and agent runs: queries.sessions."""
        chosen = self.selection(last, where)
        return self._ask(lambda con: sessions(con, chosen, limit=limit, sort=sort))

    def session(self, session_id: str) -> pl.DataFrame:
        """One session in its steps: queries.session."""
        return self._ask(lambda con: session(con, session_id))

    def exchanges(
        self,
        last: str = "7d",
        where: Where | None = None,
        *,
        take: Sequence[str] = USUAL,
        sort: Sort = "latest",
        limit: int | None = None,
    ) -> pl.DataFrame:
        """The exchanges themselves, all unless limited: queries.listing."""
        chosen = self.selection(last, where)
        return self._ask(lambda con: listing(con, chosen, take=take, sort=sort, limit=limit))

    def blind_spots(self, last: str = "7d", where: Where | None = None) -> pl.DataFrame:
        """What the figures do not see: queries.blind_spots."""
        return self._of(blind_spots, last, where)

    def unpriced(self, last: str = "7d", where: Where | None = None) -> pl.DataFrame:
        """Models without a price, or with half of one: queries.blind_spots."""
        return self._of(unpriced, last, where)

    def missing_usage(self, last: str = "7d", where: Where | None = None) -> pl.DataFrame:
        """Streams without usage, and how each client has it told: queries.missing_usage."""
        return self._of(missing_usage, last, where)

    def losses(self, last: str = "7d") -> pl.DataFrame:
        """What could not be recorded, by reason: queries.blind_spots."""
        return self._of(losses, last, None)

    def forecast(self, where: Where | None = None) -> pl.DataFrame:
        """What this month will cost: queries.forecast."""
        chosen = self.selection("all", where)
        return self._ask(lambda con: forecast(con, chosen, self.now()))

    def forecast_by_day(self, where: Where | None = None) -> pl.DataFrame:
        """The same by day, for a chart: queries.forecast."""
        chosen = self.selection("all", where)
        return self._ask(lambda con: forecast_by_day(con, chosen, self.now()))

    def choices(
        self, by: str, last: str = "7d", where: Where | None = None, *, limit: int = 200
    ) -> pl.DataFrame:
        """The values of a dimension, the most frequent first: queries.choices."""
        chosen = self.selection(last, where)
        return self._ask(lambda con: choices(con, by, chosen, limit=limit))

    def _of(
        self,
        query: Callable[[duckdb.DuckDBPyConnection, Selection], pl.DataFrame],
        last: str,
        where: Where | None,
    ) -> pl.DataFrame:
        chosen = self.selection(last, where)
        return self._ask(lambda con: query(con, chosen))

    def _ask(self, query: Query) -> pl.DataFrame:
        with self.open() as con:
            return query(con)
