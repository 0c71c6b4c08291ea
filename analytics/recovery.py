"""A damaged store: set aside, and as much of it as can be read carried over.

Owns what happens when DuckDB cannot read its file or its write-ahead log. Nothing is deleted. The
journal then gives again what the store has forgotten: positions are carried over only together
with every row they stand for. Refuses to guess at rows in damaged blocks.
"""

from __future__ import annotations

import os
import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from analytics import schema, store
from analytics.migrations import migrate
from analytics.turnstile import TurnstileBusy, admitted
from proxy.exchange import Loss

_BOUND_TO_POSITIONS = ("exchanges", "attempts", "decisions", "segments", "open_frames")


def recover(path: Path, *, wait_seconds: float = 30.0) -> list[Loss]:
    """Make the store usable again; what was lost, to be noted in it. Raises StoreBusy."""
    deadline = time.monotonic() + wait_seconds
    try:
        with admitted(path.parent, exclusive=True, deadline=deadline):
            losses = _recover(path)
    except TurnstileBusy as error:
        raise store.StoreBusy(f"{path}: {error}") from None
    store.suspicion_of(path).unlink(missing_ok=True)
    return losses


def _recover(path: Path) -> list[Loss]:
    now = datetime.now(UTC)
    if not path.exists() or not (damage := _damage(path)):
        return []
    losses = []
    if store.wal_of(path).exists():
        aside = _aside(store.wal_of(path), now)
        os.rename(store.wal_of(path), aside)
        losses.append(_loss(now, "write-ahead log of the store damaged", f"kept as {aside.name}"))
        if not (damage := _damage(path)):
            return losses
    aside = _aside(path, now)
    fresh = path.with_name(path.name + ".new")
    unreadable = _carry_over(path, fresh)
    os.link(path, aside)
    os.rename(fresh, path)
    losses.append(_loss(now, "store damaged", f"kept as {aside.name}: {damage[:300]}"))
    losses += [_loss(now, "table lost in a damaged store", name) for name in unreadable]
    return losses


def _damage(path: Path) -> str | None:
    """What is wrong with the store, None where every block of it can be read."""
    try:
        with store.translated(path), duckdb.connect(str(path), config=store.CONFIG) as con:
            for name in _tables(con):
                _read_through(con, name)
    except store.StoreDamaged as error:
        return str(error)
    return None


def _tables(con: duckdb.DuckDBPyConnection, database: str | None = None) -> list[str]:
    found = con.execute(
        "SELECT table_name FROM duckdb_tables() "
        "WHERE database_name = coalesce(?, current_database()) ORDER BY table_name",
        [database],
    ).fetchall()
    return [name for (name,) in found]


def _read_through(con: duckdb.DuckDBPyConnection, table: str) -> None:
    con.execute(f"SELECT bit_xor(hash(t)) FROM {table} AS t").fetchall()


def _carry_over(damaged: Path, fresh: Path) -> list[str]:
    """Copy what can be read into a new store; the names of the tables that cannot."""
    with suppress(FileNotFoundError):
        fresh.unlink()
    store.create(fresh)
    with duckdb.connect(str(fresh), config=store.CONFIG) as con:
        con.execute("SET TimeZone = 'UTC'")
        migrate(con)
        try:
            con.execute(f"ATTACH '{store.quoted(damaged)}' AS damaged (READ_ONLY)")
            present = _tables(con, "damaged")
        except duckdb.Error:
            return list(schema.lasting_tables())
        lost = [name for name in schema.lasting_tables() if not _copied(con, name, present)]
        if set(lost) & set(_BOUND_TO_POSITIONS):  # rows and positions stay together, or go
            for name in schema.lasting_tables():
                if name != "meta":
                    con.execute(f"DELETE FROM {name}")
            lost = [name for name in schema.lasting_tables() if name != "meta"]
        con.execute("UPDATE meta SET value = ? WHERE key = 'store_id'", [str(uuid.uuid4())])
    return lost


def _copied(con: duckdb.DuckDBPyConnection, name: str, present: list[str]) -> bool:
    if name == "meta":
        return True  # the fresh store has its own
    if name not in present:
        return False
    try:
        con.execute(f"INSERT INTO {name} BY NAME SELECT * FROM damaged.main.{name}")
    except duckdb.Error:
        return False
    return True


def _aside(path: Path, now: datetime) -> Path:
    return path.with_name(f"{path.name}.corrupt-{now:%Y%m%dT%H%M%S.%fZ}")


def _loss(now: datetime, reason: str, detail: str) -> Loss:
    return Loss(noticed_at=now, reason=reason, count=1, detail=detail)
