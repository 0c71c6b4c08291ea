"""The reports as methods, for notebooks: `analytics.connect().reports`.

Owns how a notebook asks for a report; `last` and `where` are those of analytics/source.py. What a
report means, and its frames, is said by its function in analytics/reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from os import PathLike
from pathlib import Path

from analytics.prices import PriceBook
from analytics.queries import before
from analytics.reports.anomalies import Anomalies, anomalies
from analytics.reports.bills import read_bill
from analytics.reports.change import Change, change
from analytics.reports.prompts import Prompts, prompts
from analytics.reports.reconcile import Reconciled, reconcile
from analytics.reports.waste import Waste, waste
from analytics.reports.whatif import Target, WhatIf, whatif
from analytics.source import Source, Where
from analytics.windows import parse


class Reports:
    """The reports about one store. Each gives an object whose attributes are polars frames."""

    def __init__(self, source: Source, book: PriceBook) -> None:
        self._source, self._book = source, book

    def change(
        self,
        last: str = "7d",
        where: Where | None = None,
        *,
        against: str | None = None,
        by: str = "feature",
        limit: int = 10,
    ) -> Change:
        """Why the bill changed, against a window (else the one before): reports.change.

        Raises ValueError where `last` has no beginning and `against` is not given.
        """
        chosen, now = self._source.selection(last, where), self._source.now()
        if against is not None:
            window = parse(against, now)
        elif (earlier := before(chosen, now)) is not None:
            window = earlier.window
        else:
            raise ValueError(f"{last!r} has no beginning: say what it is compared with, `against`.")
        with self._source.open() as con:
            return change(con, self._book, chosen, window, by=by, limit=limit)

    def prompts(
        self, last: str = "30d", where: Where | None = None, *, texts: bool = True
    ) -> Prompts:
        """Prompt versions, and what each change did: reports.prompts."""
        with self._source.open() as con:
            return prompts(con, self._source.selection(last, where), texts=texts)

    def waste(
        self,
        last: str = "7d",
        where: Where | None = None,
        *,
        keep_answers: timedelta = timedelta(hours=24),
        keep_prompts: timedelta = timedelta(minutes=5),
    ) -> Waste:
        """What was paid for and need not have been: reports.waste."""
        chosen = self._source.selection(last, where)
        with self._source.open() as con:
            return waste(
                con, self._book, chosen, keep_answers=keep_answers, keep_prompts=keep_prompts
            )

    def whatif(
        self,
        model: str | Sequence[str],
        last: str = "30d",
        where: Where | None = None,
        *,
        provider: str | None = None,
    ) -> WhatIf:
        """What the same traffic would have cost with another model, or several: reports.whatif."""
        models = [model] if isinstance(model, str) else model
        targets = [Target(each, provider) for each in models]
        chosen, now = self._source.selection(last, where), self._source.now()
        with self._source.open() as con:
            return whatif(con, self._book, chosen, targets, now)

    def reconcile(
        self,
        file: str | PathLike[str],
        *,
        provider: str | None = None,
        offset: timedelta | None = None,
    ) -> Reconciled:
        """A provider's own export against what was recorded: reports.reconcile. Raises BadBill."""
        bill = read_bill(Path(file).read_bytes())
        with self._source.open() as con:
            return reconcile(con, bill, provider=provider, offset=offset)

    def anomalies(
        self, last: str = "30d", where: Where | None = None, *, limit: int = 20
    ) -> Anomalies:
        """Days, features, users, models and providers out of line: reports.anomalies."""
        chosen, now = self._source.selection(last, where), self._source.now()
        with self._source.open() as con:
            return anomalies(con, self._book, chosen, now, limit=limit)
