"""The store: opening the DuckDB file, for one batch or one query.

Owns when and how the file is opened, its permissions, and what DuckDB's errors mean. Nobody holds
the file: every caller opens, works and closes. Refuses to know what is in the tables.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from analytics.migrations import migrate
from analytics.turnstile import TurnstileBusy, admitted

Connection = duckdb.DuckDBPyConnection
QueryError = duckdb.Error
"""What is wrong with a statement, for callers that do not know DuckDB otherwise."""

NAME = "meterline.duckdb"
STORAGE_VERSION = "v1.5.0"
LOCKED_DOWN_MEMORY = "512MB"
_RETRY_SECONDS = 0.05
CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
}
_DAMAGE = (
    "corrupt",
    "failure while replaying wal",
    "not a valid duckdb database file",
    "could not read enough bytes",
    "failed to deserialize",
    "serialization error",
    "checksum",
)
_OF_THE_FILE = (
    duckdb.Error,
    duckdb.IOException,
    duckdb.SerializationException,
    duckdb.InternalException,
)
_DISK = ("no space left", "input/output error", "file too large", "disk quota")
_umask_lock = threading.Lock()


class StoreError(Exception):
    """The store cannot be used; the message says why."""


class StoreMissing(StoreError):
    """There is no store yet: nothing has been posted."""


class StoreBusy(StoreError):
    """Another process holds the file; DuckDB's message names it."""


class StoreDamaged(StoreError):
    """The file or its write-ahead log cannot be read."""


class StoreDiskFull(StoreError):
    """The disk took no more."""


@contextmanager
def read(
    path: Path, *, locked_down: bool = False, wait_seconds: float = 5.0
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection for one query; the poster waits meanwhile, so be short.

    `locked_down`, for SQL from elsewhere: no files, no network, no settings. Raises StoreMissing,
    StoreBusy after `wait_seconds`, StoreDamaged (which also asks the poster to mend the store).
    """
    if not path.exists():
        raise StoreMissing(f"{path} does not exist yet: no exchange has been posted.")
    try:
        with _opened(path, exclusive=False, wait_seconds=wait_seconds) as con:
            con.execute("SET TimeZone = 'UTC'")
            if locked_down:
                con.execute("SET temp_directory = ''")
                con.execute(f"SET memory_limit = '{LOCKED_DOWN_MEMORY}'")
                con.execute("SET enable_external_access = false")
                con.execute("SET lock_configuration = true")
            yield con
    except StoreDamaged:
        suspect(path)
        raise


@contextmanager
def write(path: Path, *, wait_seconds: float = 5.0) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-write connection for one batch, on a store that exists and is up to date.

    Raises StoreBusy after `wait_seconds`, StoreDamaged, StoreDiskFull, StoreTooNew.
    """
    prepare_folder(path.parent)
    with _private(), _opened(path, exclusive=True, wait_seconds=wait_seconds) as con:
        con.execute("SET TimeZone = 'UTC'")
        migrate(con)
        yield con


def commit_to_file(con: duckdb.DuckDBPyConnection, *, merge: bool) -> None:
    """Let commits go into the file itself, and not into the write-ahead log first: what a batch
    brings is written once, and is as durable when the commit returns.

    With `merge`, groups of few rows become one of up to 122,880, which compresses them again; by
    itself DuckDB does so with each commit. Without, a commit writes what it brings.
    """
    con.execute("SET checkpoint_threshold = '1B'")
    con.execute("SET auto_checkpoint_skip_wal_threshold = 0")
    con.execute(f"SET max_vacuum_tasks = {int(merge)}")


def prepare_folder(folder: Path) -> None:
    """Make the data folder if it is missing, and keep others out of it."""
    folder.mkdir(parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o777 != 0o700:
        folder.chmod(0o700)


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def suspicion_of(path: Path) -> Path:
    """The file that asks the poster to look at the store's every block."""
    return path.with_name(path.name + ".suspect")


def suspect(path: Path) -> None:
    try:
        os.close(os.open(suspicion_of(path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError:
        return  # a read-only copy: nobody mends it


@contextmanager
def _private() -> Iterator[None]:
    """DuckDB makes its files with the process's umask: let it be ours meanwhile."""
    with _umask_lock:
        before = os.umask(0o077)
    try:
        yield
    finally:
        with _umask_lock:
            os.umask(before)


@contextmanager
def _opened(
    path: Path, *, exclusive: bool, wait_seconds: float
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Through the turnstile, and until a foreign process lets go of the file."""
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            with admitted(path.parent, exclusive=exclusive, deadline=deadline):
                with _connected(path, read_only=not exclusive) as con:
                    yield con
                return
        except TurnstileBusy as error:
            raise StoreBusy(f"{path}: {error}") from None
        except _Held as error:
            if time.monotonic() >= deadline:
                raise StoreBusy(f"{path}: {error}") from None
        time.sleep(_RETRY_SECONDS)


class _Held(Exception):
    """A process outside the turnstile has the file."""


@contextmanager
def _connected(path: Path, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    con = _connect(path, read_only=read_only)
    try:
        with translated(path):
            yield con
    finally:
        con.close()


def _connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    threads = str(min(4, os.cpu_count() or 1))
    config = CONFIG | {"memory_limit": "1GB", "threads": threads}
    try:
        with translated(path):
            if not read_only and not path.exists():
                create(path)
            return duckdb.connect(str(path), read_only=read_only, config=config)
    except StoreError as error:
        if _is_held(error.__cause__):
            raise _Held(str(error.__cause__).split("See also")[0].strip()) from None
        raise


def quoted(path: Path) -> str:
    """For use between the quotes of an SQL string."""
    return str(path).replace("'", "''")


def create(path: Path) -> None:
    """Create a store without rows in the older storage format; it appears whole or not at all."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    wal_of(path).unlink(missing_ok=True)  # of a store that is gone
    with duckdb.connect(":memory:", config=CONFIG) as con:
        con.execute(f"ATTACH '{quoted(new)}' AS fresh (STORAGE_VERSION '{STORAGE_VERSION}')")
        con.execute("USE fresh")
        con.execute("SET TimeZone = 'UTC'")
        migrate(con)
    os.chmod(new, 0o600)
    os.rename(new, path)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """DuckDB's errors about the file itself as StoreError; those about a statement as they are."""
    try:
        yield
    except duckdb.Error as error:
        message = str(error).lower()
        if any(phrase in message for phrase in _DISK):
            raise StoreDiskFull(f"{path}: {error}") from error
        if _is_held(error):
            raise StoreError(f"{path}: {error}") from error
        if isinstance(error, duckdb.FatalException) or (
            type(error) in _OF_THE_FILE and any(phrase in message for phrase in _DAMAGE)
        ):
            raise StoreDamaged(f"{path}: {error}") from error
        if isinstance(error, duckdb.IOException):
            raise StoreError(f"{path}: {error}") from error
        raise


def _is_held(error: BaseException | None) -> bool:
    text = str(error)
    return isinstance(error, duckdb.Error) and (
        "Could not set lock" in text or "same database file with a different" in text
    )
