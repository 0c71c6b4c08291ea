"""Retention: exchanges, or what was said in them, deleted for good.

Owns the order in which things go. The journal's frames are erased first, then the store is
written anew without the rows and takes the old one's place, all while the store is ours alone: at
every moment either the whole old store is there or the whole new one, and doing it again finishes
what a crash has left. The old file's blocks go with the file; deleting rows within it would leave
their text in blocks that are merely free. Refuses to go on where the new store's counts are not
those expected.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from analytics import hours, metrics, schema, store, views
from analytics.erasure import Erased, erase, sync_folder
from analytics.migrations import migrate
from analytics.queries import Selection, condition
from analytics.turnstile import TurnstileBusy, admitted

_BOUND = ("attempts", "decisions", "contents", "billed_responses", "open_frames")
"""Tables whose rows belong to an exchange."""


class PruneFailed(Exception):
    """Nothing was taken out of the store; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Going:
    """What a selection would delete, and how large the store is."""

    exchanges: int
    contents: int
    store_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was deleted. `kept_apart`: files that may hold traces and that nobody can search."""

    exchanges: int
    contents: int
    bytes_before: int
    bytes_after: int
    journal: Erased
    kept_apart: list[Path] = field(default_factory=list)
    own_tables: list[str] = field(default_factory=list)
    """Tables in the file that are not Meterline's; they were taken over as they were."""


def going(path: Path, selection: Selection) -> Going:
    """Count what would go. Raises StoreError."""
    where, parameters = condition(selection)
    with store.read(path) as con:
        ((exchanges, contents),) = con.execute(
            f"SELECT count(*), count(*) FILTER (exchange_id IN (SELECT exchange_id FROM contents)) "
            f"FROM exchanges WHERE {where}",
            parameters,
        ).fetchall()
    return Going(exchanges=exchanges, contents=contents, store_bytes=path.stat().st_size)


def prune(
    data_dir: Path,
    selection: Selection,
    *,
    contents_only: bool = False,
    wait_seconds: float = 30.0,
) -> Pruned:
    """Delete the selected exchanges, or only what was said in them.

    Exchanges that have no row yet are not touched: post first. Raises StoreError, and PruneFailed
    where the disk has no room for a second store or counts differ.
    """
    path = data_dir / store.NAME
    if not path.exists():
        raise store.StoreMissing(f"{path} does not exist yet: no exchange has been posted.")
    deadline = time.monotonic() + wait_seconds
    try:
        with admitted(data_dir, exclusive=True, deadline=deadline):
            return _prune(data_dir, path, selection, contents_only=contents_only)
    except TurnstileBusy as error:
        raise store.StoreBusy(f"{path}: {error}") from None


def _prune(data_dir: Path, path: Path, selection: Selection, *, contents_only: bool) -> Pruned:
    fresh = path.with_name(path.name + ".pruned")
    _remove(fresh)
    before = path.stat().st_size
    _refuse_without_room(path, before)
    store.create(fresh)
    try:
        rewrite = _Rewrite(path, fresh, selection, contents_only=contents_only)
        with store.translated(path), closing(rewrite):
            rewrite.begin()
            erased = erase(data_dir / "journal", rewrite.goes)
            rewrite.carry_over()
        os.chmod(fresh, 0o600)
        _sync(fresh)
        _swap(fresh, path)
    finally:
        _remove(fresh)
    (data_dir / metrics.NAME).unlink(missing_ok=True)  # its labels may be those that went
    return Pruned(
        exchanges=0 if contents_only else rewrite.exchanges,
        contents=rewrite.contents,
        bytes_before=before,
        bytes_after=path.stat().st_size,
        journal=erased,
        kept_apart=_kept_apart(data_dir, path),
        own_tables=rewrite.own_tables,
    )


class _Rewrite:
    """The old store, ours alone, beside the new one that is filled from it."""

    def __init__(
        self, old: Path, fresh: Path, selection: Selection, *, contents_only: bool
    ) -> None:
        self._old = old
        self._where, self._parameters = condition(selection)
        self._contents_only = contents_only
        self._con = duckdb.connect(str(fresh), config=store.CONFIG | {"memory_limit": "1GB"})
        self.exchanges = self.contents = 0
        self.own_tables: list[str] = []

    def close(self) -> None:
        self._con.close()

    def begin(self) -> None:
        """Take hold of the old store and name the rows that go."""
        con = self._con
        con.execute("SET TimeZone = 'UTC'")
        try:
            con.execute(f"ATTACH '{store.quoted(self._old)}' AS old")
        except duckdb.Error as error:
            if "lock" in str(error):
                raise store.StoreBusy(f"{self._old}: {str(error).strip()}") from error
            raise
        migrate(con)
        con.execute(
            "CREATE TEMP TABLE going AS "
            f"SELECT exchange_id FROM old.main.exchanges WHERE {self._where}",
            self._parameters,
        )
        self.exchanges = self._count("going")
        self.contents = self._count("old.main.contents SEMI JOIN going USING (exchange_id)")

    def goes(self, exchange_ids: list[str]) -> set[str]:
        """Those of the ids that go."""
        found = self._con.execute(
            "SELECT CAST(exchange_id AS VARCHAR) FROM going "
            "WHERE exchange_id IN (SELECT TRY_CAST(unnest(?) AS UUID))",
            [exchange_ids],
        ).fetchall()
        return {exchange_id for (exchange_id,) in found}

    def carry_over(self) -> None:
        """Fill the new store with what stays, check it, and let go of the old one."""
        con = self._con
        con.begin()
        for name in schema.lasting_tables():
            if name != "meta":
                self._carry(name)
        self._carry_meta()
        con.commit()
        self.own_tables = self._carry_own()
        con.execute("DROP TABLE going")
        con.execute("CHECKPOINT")
        con.execute("CHECKPOINT old")
        con.execute("DETACH old")

    def _carry(self, name: str) -> None:
        leaving = ("contents",) if self._contents_only else ("exchanges", *_BOUND)
        rest = " ANTI JOIN going USING (exchange_id)" if name in leaving else ""
        expected = self._count(f"old.main.{name}{rest}")
        self._con.execute(f"INSERT INTO {name} BY NAME SELECT * FROM old.main.{name}{rest}")
        if (found := self._count(name)) != expected:
            raise PruneFailed(f"{name}: {found:,} rows were written, {expected:,} expected")

    def _carry_meta(self) -> None:
        """All but the identity (who has read positions in the old store reads them again) and what
        is summed."""
        self._con.execute("DELETE FROM meta")
        self._con.execute("INSERT INTO meta SELECT * FROM old.main.meta")
        self._con.execute("UPDATE meta SET value = ? WHERE key = 'store_id'", [str(uuid.uuid4())])
        hours.forget(self._con)

    def _carry_own(self) -> list[str]:
        """Tables and views that someone has added to the file."""
        tables = self._names("SELECT table_name, NULL FROM duckdb_tables()", schema.table_names())
        for name, _ in tables:
            self._con.execute(f'CREATE TABLE "{_name(name)}" AS FROM old.main."{_name(name)}"')
        added = self._names("SELECT view_name, sql FROM duckdb_views()", tuple(views.VIEWS))
        for _, sql in added:
            with suppress(duckdb.Error):  # one that no longer works in the old file either
                self._con.execute(sql)
        return [name for name, _ in tables]

    def _names(self, sql: str, known: Sequence[str]) -> list[tuple[str, Any]]:
        found = self._con.execute(
            f"{sql} WHERE database_name = 'old' AND schema_name = 'main' AND NOT internal"
        ).fetchall()
        return sorted((name, more) for name, more in found if name not in known)

    def _count(self, source: str) -> int:
        ((count,),) = self._con.execute(f"SELECT count(*) FROM {source}").fetchall()
        return int(count)


def _name(name: str) -> str:
    return name.replace('"', '""')


def _refuse_without_room(path: Path, size: int) -> None:
    """A second store must fit beside the first one."""
    free = shutil.disk_usage(path.parent).free
    if free < size:
        raise PruneFailed(
            f"{path.parent}: the store is written anew, which needs up to {size:,} free bytes; "
            f"there are {free:,}. Make room, then run it again."
        )


def _swap(fresh: Path, path: Path) -> None:
    """The moment at which the old store is gone. Its log must be empty, it belongs to the old."""
    wal = store.wal_of(path)
    if wal.exists() and wal.stat().st_size:
        raise PruneFailed(f"{wal} is not empty, so the store was not replaced. Run it again.")
    os.replace(fresh, path)
    sync_folder(path.parent)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _remove(fresh: Path) -> None:
    """A store that was begun and did not get its place, with what DuckDB put beside it."""
    for suffix in ("", ".wal", ".new", ".new.wal"):
        fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)
    for suffix in (".tmp", ".new.tmp"):
        shutil.rmtree(fresh.with_name(fresh.name + suffix), ignore_errors=True)


def _kept_apart(data_dir: Path, path: Path) -> list[Path]:
    """Damaged stores and damaged parts of the journal that were set aside."""
    aside = [*data_dir.glob(f"{path.name}*.corrupt-*"), *data_dir.glob("journal/quarantine/*")]
    return sorted(aside)
