"""SQL from elsewhere, in a process of its own.

Owns that process. DuckDB shares a file that is open twice in one process, and with it what is
locked and limited for one of the two: a server that answers others meanwhile runs a stranger's SQL
here. Refuses to decide what is accepted; that is analytics/sandbox.py.
"""

from __future__ import annotations

import pickle
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from analytics.sandbox import SqlRefused
from analytics.store import StoreBusy, StoreError

_START_SECONDS = 20.0
"""For the process to start and to end, beside the query's own time."""
_MOST_RESULT_BYTES = 64_000_000
_MOST_MEMORY_BYTES = 2 << 30
"""Of the process: DuckDB's own limit leaves out the texts that a query makes."""
_ROOT = Path(__file__).parent.parent

Result = tuple[list[str], list[tuple[Any, ...]]]


class SqlFault(Exception):
    """A mistake in the SQL; DuckDB's message."""


_FAULTS: dict[str, type[Exception]] = {
    "refused": SqlRefused,
    "busy": StoreBusy,
    "store": StoreError,
    "sql": SqlFault,
}


def run(path: Path, sql: str, *, max_rows: int = 10_000, timeout_seconds: float = 30.0) -> Result:
    """As `sandbox.run`; mistakes in the SQL are SqlFault here.

    Raises SqlRefused, SqlFault, StoreError.
    """
    asked = pickle.dumps((path, sql, max_rows, timeout_seconds))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "analytics.apart"],
            input=asked,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_ROOT,
            timeout=timeout_seconds + _START_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SqlRefused(f"stopped after {timeout_seconds:g} seconds") from None
    if done.returncode != 0:
        raise SqlRefused(f"the query ended its process (exit code {done.returncode})")
    kind, found = pickle.loads(done.stdout)  # written by this module, in the process just ended
    if kind in _FAULTS:
        raise _FAULTS[kind](found)
    result: Result = found
    return result


def _answer(asked: tuple[Path, str, int, float]) -> tuple[str, Any]:
    import duckdb

    from analytics import sandbox

    path, sql, max_rows, timeout_seconds = asked
    resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MEMORY_BYTES, _MOST_MEMORY_BYTES))
    limits = {"max_rows": max_rows, "max_bytes": _MOST_RESULT_BYTES}
    try:
        return "found", sandbox.run(path, sql, **limits, timeout_seconds=timeout_seconds)
    except SqlRefused as error:
        return "refused", str(error)
    except MemoryError:
        return "refused", f"needs more than {_MOST_MEMORY_BYTES >> 30} GB of memory"
    except StoreBusy as error:
        return "busy", str(error)
    except StoreError as error:
        return "store", str(error)
    except duckdb.Error as error:
        return "sql", str(error)


if __name__ == "__main__":
    sys.stdout.buffer.write(pickle.dumps(_answer(pickle.load(sys.stdin.buffer))))
