"""The same question to other databases: sums by feature, in SQLite and in PostgreSQL.

Owns the copies, both with an index on the time, and a PostgreSQL of its own on a socket in a
temporary folder, where its programs are installed. Percentiles are left out: SQLite has none.
"""

from __future__ import annotations

import contextlib
import csv
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

from analytics import store

WINDOWS = {"7 days": 7, "30 days": 30}
COLUMNS = (
    "epoch_us(started_at) AS at_us, feature, outcome, usage_source, cost_status, input_tokens, "
    "output_tokens, CAST(cost_usd * 1000000000000 AS BIGINT) AS cost_pico, duration_seconds"
)
NAMES = [part.rpartition(" AS ")[2].strip() for part in re.split(r", (?![^(]*\))", COLUMNS)]
QUESTION = """
SELECT feature, count(*),
    sum(CASE WHEN outcome NOT IN ('completed', 'cached') THEN 1 ELSE 0 END),
    sum(input_tokens), sum(output_tokens), sum({cost}) AS cost,
    sum(CASE WHEN cost_status IN ('unpriced', 'partial') THEN 1 ELSE 0 END)
FROM exchanges WHERE {at} >= {since} GROUP BY feature ORDER BY cost DESC
"""


def compare(path: Path, now: datetime, runs: int) -> Iterator[str]:
    """Lines of a table: milliseconds in each database, and as a multiple of ours."""
    since = {name: now - timedelta(days=days) for name, days in WINDOWS.items()}
    ours = {name: _here(path, moment, runs) for name, moment in since.items()}
    yield f"{'sums by feature, ms':24}" + "".join(f"{name:>18}" for name in WINDOWS)
    yield _line("here, file opened anew", ours, ours)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        table = folder / "exchanges.csv"
        with store.read(path) as con:
            con.execute(
                f"COPY (SELECT {COLUMNS} FROM exchanges) TO '{store.quoted(table)}' (HEADER)"
            )
        yield _line("SQLite, kept open", _sqlite(folder, table, since, runs), ours)
        programs = _postgres_programs()
        if programs is None:
            yield "PostgreSQL: not installed here, left out"
        else:
            found = _postgres(programs, folder, table, since, runs)
            yield _line("PostgreSQL, kept open", found, ours)


def _line(name: str, found: dict[str, float], ours: dict[str, float]) -> str:
    cells = [f"{ms:,.0f} ({ms / ours[window]:.1f} x)" for window, ms in found.items()]
    return f"{name:24}" + "".join(f"{cell:>18}" for cell in cells)


def _here(path: Path, since: datetime, runs: int) -> float:
    question = QUESTION.format(cost="cost_usd", at="started_at", since="?")
    walls = []
    for _ in range(runs):
        begun = time.perf_counter()
        with store.read(path) as con:
            con.execute(question, [since]).fetchall()
        walls.append((time.perf_counter() - begun) * 1000)
    return median(walls)


def _sqlite(folder: Path, table: Path, since: dict[str, datetime], runs: int) -> dict[str, float]:
    con = sqlite3.connect(folder / "exchanges.sqlite")
    types = ", ".join(
        f"{name} {'TEXT' if name in ('feature', 'outcome') else 'NUMERIC'}" for name in NAMES
    )
    con.execute(f"CREATE TABLE exchanges ({types})")
    with open(table, newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        next(rows)
        marks = ", ".join("?" * len(NAMES))
        con.executemany(
            f"INSERT INTO exchanges VALUES ({marks})",
            ([value if value != "" else None for value in row] for row in rows),
        )
    con.execute("CREATE INDEX by_time ON exchanges (at_us)")
    con.execute("ANALYZE")
    con.commit()
    found = {}
    for name, moment in since.items():
        walls = []
        question = QUESTION.format(cost="cost_pico", at="at_us", since=_microseconds(moment))
        for _ in range(runs):
            begun = time.perf_counter()
            con.execute(question).fetchall()
            walls.append((time.perf_counter() - begun) * 1000)
        found[name] = median(walls)
    con.close()
    return found


def _microseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def _postgres_programs() -> Path | None:
    """The folder with initdb, pg_ctl and psql, the newest where there are several."""
    if (on_path := shutil.which("initdb")) is not None:
        return Path(on_path).resolve().parent
    homes = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda home: float(home.parent.name)
    )
    return homes[-1] if homes and (homes[-1] / "initdb").exists() else None


def _postgres(
    programs: Path, folder: Path, table: Path, since: dict[str, datetime], runs: int
) -> dict[str, float]:
    types = ", ".join(f"{name} {_postgres_type(name)}" for name in NAMES)
    prepare = (
        f"CREATE TABLE exchanges ({types});\n\\copy exchanges FROM '{table}' CSV HEADER\n"
        "CREATE INDEX by_time ON exchanges (at_us);\nVACUUM ANALYZE exchanges;\n"
    )
    asked = "\\timing on\n"
    for moment in since.values():
        question = QUESTION.format(cost="cost_pico", at="at_us", since=_microseconds(moment))
        asked += (" ".join(question.split()) + ";\n") * runs
    with _cluster(programs, folder) as psql:
        subprocess.run(psql, input=prepare, text=True, check=True, capture_output=True)
        answer = subprocess.run(psql, input=asked, text=True, check=True, capture_output=True)
    times = [float(ms) for ms in re.findall(r"^Time: ([\d.]+) ms", answer.stdout, re.MULTILINE)]
    return {
        name: median(times[place * runs : (place + 1) * runs]) for place, name in enumerate(since)
    }


def _postgres_type(name: str) -> str:
    if name in ("feature", "outcome", "usage_source", "cost_status"):
        return "text"
    return "double precision" if name == "duration_seconds" else "bigint"


@contextlib.contextmanager
def _cluster(programs: Path, folder: Path) -> Iterator[list[str]]:
    """A PostgreSQL for the moment, on a socket; gives the command line of its shell."""
    home = folder / "postgres"
    home.mkdir()
    become: list[str] = []
    if os.geteuid() == 0:  # it refuses to run as root
        shutil.chown(home, "postgres")
        become = ["runuser", "-u", "postgres", "--"]
    data, options = home / "data", f"-c listen_addresses= -c unix_socket_directories={home}"
    server = [*become, str(programs / "pg_ctl"), "-D", str(data), "-w"]
    run = {"check": True, "cwd": home, "stdout": subprocess.DEVNULL}
    subprocess.run([*become, str(programs / "initdb"), "-D", str(data), "-A", "trust"], **run)  # type: ignore[call-overload]
    subprocess.run([*server, "-l", str(home / "log"), "-o", options, "start"], **run)  # type: ignore[call-overload]
    try:
        yield [
            *become,
            str(programs / "psql"),
            "-X",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            str(home),
            "postgres",
        ]
    finally:
        subprocess.run([*server, "-m", "fast", "stop"], **run)  # type: ignore[call-overload]
