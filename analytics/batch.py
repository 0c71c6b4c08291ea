"""A batch made ready: everything computed, nothing saved.

Owns the step from what was read to Arrow tables, with a substitute for each exchange that cannot
be assembled or does not fit. Pure but for the log; refuses to open the store.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa  # type: ignore[import-untyped]

from analytics import rows
from analytics.assembly import assemble, bare
from analytics.found import Records, Unposted
from analytics.intake import Batch
from analytics.positions import Positions
from analytics.prices import PriceBook

_log = logging.getLogger("meterline.poster")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A batch that only has to be written, on top of the positions `before`."""

    before: Positions
    batch: Batch
    records: Sequence[Records]
    rows: rows.Rows

    @property
    def orphans(self) -> list[str]:
        return [found.exchange_id for found in self.batch.exchanges if found.orphan]


def prepare(before: Positions, batch: Batch, book: PriceBook) -> Prepared:
    records = [_assembled(found, book) for found in batch.exchanges]
    try:
        tables = rows.rows_of(records)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        records = _fitted(records, batch.exchanges)
        tables = rows.rows_of(records)
    return Prepared(before=before, batch=batch, records=records, rows=tables)


def refit(prepared: Prepared) -> Prepared:
    """The same after the store has refused a value that Arrow had taken."""
    records = _fitted(prepared.records, prepared.batch.exchanges)
    return replace(prepared, records=records, rows=rows.rows_of(records))


def is_empty(prepared: Prepared) -> bool:
    """Whether writing it would change nothing."""
    before, batch = prepared.before, prepared.batch
    return (
        not batch.exchanges
        and not batch.losses
        and before.segments == batch.after.segments
        and before.open == batch.after.open
    )


def _assembled(found: Unposted, book: PriceBook) -> Records:
    try:
        return assemble(found, book)
    except Exception as fault:  # whatever a reader or the prices did not foresee
        _log.warning("exchange %s cannot be read", found.exchange_id, exc_info=True)
        return bare(found, f"cannot be read: {type(fault).__name__}: {fault}")


def _fitted(records: Sequence[Records], exchanges: Sequence[Unposted]) -> list[Records]:
    return rows.fitting(records, lambda number, why: bare(exchanges[number], why))
