"""How far the journal is posted, as the store says it.

Owns reading and writing that state: the position in each segment, the places of the frames of
exchanges under way, and the number of the last batch. It is saved in the transaction of the rows
it stands for; that is what makes a row appear exactly once. Refuses to read the journal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]


class Place(NamedTuple):
    """Where a frame lies."""

    segment: str
    position: int
    kind: int


class SegmentState(NamedTuple):
    """`finished`: the segment is sealed and read to its end."""

    position: int
    finished: bool


@dataclass(slots=True)
class Positions:
    """The state after a batch. A batch works on a copy."""

    store_id: str
    batch: int
    segments: dict[str, SegmentState] = field(default_factory=dict)
    open: dict[str, tuple[Place, ...]] = field(default_factory=dict)

    def copy(self) -> Positions:
        return Positions(self.store_id, self.batch, dict(self.segments), dict(self.open))


class Outdated(Exception):
    """Someone else has posted, or the store is another one: load again."""


def load(con: duckdb.DuckDBPyConnection) -> Positions:
    """The state as last committed."""
    meta = dict(con.execute("SELECT key, value FROM meta").fetchall())
    positions = Positions(meta["store_id"], int(meta["batch"]))
    rows = con.execute("SELECT segment, position, finished FROM segments").fetchall()
    positions.segments = {name: SegmentState(at, finished) for name, at, finished in rows}
    frames = con.execute(
        "SELECT CAST(exchange_id AS VARCHAR), segment, position, kind FROM open_frames "
        "ORDER BY segment, position"
    ).fetchall()
    for exchange_id, segment, at, kind in frames:
        known = positions.open.get(exchange_id, ())
        positions.open[exchange_id] = (*known, Place(segment, at, kind))
    return positions


def verify(con: duckdb.DuckDBPyConnection, expected: Positions) -> None:
    """Raise Outdated unless `expected` is what was committed last. Within the transaction."""
    meta = dict(con.execute("SELECT key, value FROM meta").fetchall())
    if (meta["store_id"], meta["batch"]) != (expected.store_id, str(expected.batch)):
        raise Outdated("the store has changed since its positions were read")


def save(con: duckdb.DuckDBPyConnection, before: Positions, after: Positions) -> None:
    """Write what differs, and count the batch. Within the transaction of the batch's rows."""
    after.batch = before.batch + 1
    con.execute("UPDATE meta SET value = ? WHERE key = 'batch'", [str(after.batch)])
    changed = [n for n, state in after.segments.items() if before.segments.get(n) != state]
    _delete(con, "segments", "segment", [*changed, *(before.segments.keys() - after.segments)])
    for name in changed:
        con.execute("INSERT INTO segments VALUES (?, ?, ?)", [name, *after.segments[name]])
    moved = [i for i, places in after.open.items() if before.open.get(i) != places]
    known = [i for i in moved if i in before.open]
    _delete(con, "open_frames", "exchange_id", [*known, *(before.open.keys() - after.open)])
    _insert_frames(con, [(i, place) for i in moved for place in after.open[i]])


def _delete(con: duckdb.DuckDBPyConnection, table: str, column: str, values: Iterable[str]) -> None:
    # Not as an Arrow table: a batch is read meanwhile, and DuckDB would wait for the interpreter.
    if gone := list(values):
        kind = "UUID" if column == "exchange_id" else "VARCHAR"
        these = f"WHERE {column} IN (SELECT CAST(unnest(?) AS {kind}))"
        con.execute(f"DELETE FROM {table} {these}", [gone])


def _insert_frames(con: duckdb.DuckDBPyConnection, frames: list[tuple[str, Place]]) -> None:
    if not frames:
        return
    table = pa.table(
        {
            "exchange_id": pa.array([i for i, _ in frames], pa.string()),
            "segment": pa.array([place.segment for _, place in frames], pa.string()),
            "position": pa.array([place.position for _, place in frames], pa.int64()),
            "kind": pa.array([place.kind for _, place in frames], pa.uint8()),
        }
    )
    con.register("frames", table)
    con.execute("INSERT INTO open_frames BY NAME SELECT * FROM frames")
    con.unregister("frames")
