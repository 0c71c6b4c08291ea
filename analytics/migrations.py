"""Steps from any older store to the present one.

Owns their order and numbers. A step is never changed once a store may have seen it: what comes
later is a further step. Refuses to go back: a store from a newer Meterline is left alone.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable

import duckdb

from analytics import schema, views

_log = logging.getLogger("meterline.store")

Step = Callable[[duckdb.DuckDBPyConnection], None]


class StoreTooNew(Exception):
    """A newer Meterline wrote this store."""


def _create_everything(con: duckdb.DuckDBPyConnection) -> None:
    for name in schema.table_names():
        con.execute(schema.create_table(name))
    _set(con, "store_id", str(uuid.uuid4()))
    _set(con, "batch", "0")


def _add_savings(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("ALTER TABLE exchanges ADD COLUMN IF NOT EXISTS saved_usd DECIMAL(18,12)")


def _add_hours(con: duckdb.DuckDBPyConnection) -> None:
    """Empty: the poster sums the past, a piece at a time."""
    con.execute(schema.create_table("hours"))


STEPS: tuple[Step, ...] = (_create_everything, _add_savings, _add_hours)
"""Step 1 creates the tables as they are today, so a later step that adds a column to older
stores says ADD COLUMN IF NOT EXISTS."""


def migrate(con: duckdb.DuckDBPyConnection) -> None:
    """Bring the attached store to the present version, in one transaction."""
    version, views_version = _versions(con)
    if version > len(STEPS):
        raise StoreTooNew(
            f"the store has version {version}, this Meterline knows up to {len(STEPS)}. "
            "Use the newer Meterline, or another data_dir."
        )
    if version == len(STEPS) and views_version == views.VERSION:
        return
    con.begin()
    try:
        for step in STEPS[version:]:
            step(con)
        _set(con, "schema_version", str(len(STEPS)))
        _set(con, "views_version", str(views.VERSION))
        con.commit()
    except BaseException:
        con.rollback()
        raise
    _renew_views(con)


def _renew_views(con: duckdb.DuckDBPyConnection) -> None:
    """A view that cannot be made (perhaps a table of the user's has its name) stops nothing."""
    for statement in views.statements():
        try:
            con.execute(statement)
        except duckdb.Error as error:
            _log.warning("a view is missing: %s", error)


def _versions(con: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    try:
        known = dict(con.execute("SELECT key, value FROM meta").fetchall())
    except duckdb.CatalogException:
        return 0, 0  # a store without tables
    return int(known.get("schema_version", 0)), int(known.get("views_version", 0))


def _set(con: duckdb.DuckDBPyConnection, key: str, value: str) -> None:
    con.execute("DELETE FROM meta WHERE key = ?", [key])
    con.execute("INSERT INTO meta VALUES (?, ?)", [key, value])
