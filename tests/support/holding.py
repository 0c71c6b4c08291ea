"""A store that another process has open, not one of ours, as a `duckdb` shell would.

Owns that process; it ends when nobody holds the store any more.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HOLD = """
import sys, duckdb
con = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "ro")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(store: Path, how: str = "rw") -> Iterator[subprocess.Popen[bytes]]:
    """Meanwhile the process has the file open, to write ("rw") or to read ("ro")."""
    child = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(store), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == b"held\n"
        yield child
    finally:
        child.communicate(timeout=20)
    assert child.returncode == 0
