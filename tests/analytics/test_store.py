import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest

from analytics import sandbox, store
from analytics.recovery import recover
from analytics.sandbox import SqlRefused, one_select
from tests.support.holding import held


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "data" / store.NAME
    with store.write(made) as con:
        con.execute("INSERT INTO losses VALUES (now(), 'disk full', 3, 'here')")
    return made


def count(path: Path, wait_seconds: float = 5.0) -> int:
    with store.read(path, wait_seconds=wait_seconds) as con:
        (found,) = con.execute("SELECT count(*) FROM losses").fetchall()
    return int(found[0])


def test_the_file_has_the_older_storage_version(path: Path) -> None:
    with duckdb.connect(str(path), read_only=True) as con:
        tags = con.execute("SELECT tags FROM duckdb_databases() WHERE NOT internal").fetchall()
    assert tags[0][0]["storage_version"].startswith("v1.5.0")


def test_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "data" / store.NAME
    before = os.umask(0)
    try:
        with store.write(path) as con:
            con.execute("INSERT INTO losses VALUES (now(), 'x', 1, NULL)")
            assert store.wal_of(path).exists()
            modes = {f.name: stat.S_IMODE(f.stat().st_mode) for f in path.parent.iterdir()}
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_nothing_is_left_open_behind_a_batch(path: Path) -> None:
    assert not store.wal_of(path).exists()
    with duckdb.connect(str(path)) as con:
        assert con.execute("SELECT count(*) FROM losses").fetchone() == (1,)


def test_a_store_that_is_not_there_is_missing_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(store.StoreMissing, match="does not exist yet"), store.read(tmp_path / "x"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_connection_is_in_utc_and_reads_no_python_variables(path: Path) -> None:
    secret_frame = {"a": [1]}
    with store.read(path) as con:
        assert con.execute("SELECT current_setting('TimeZone')").fetchone() == ("UTC",)
        with pytest.raises(duckdb.CatalogException):
            con.execute("SELECT * FROM secret_frame")
    assert secret_frame


def test_readers_share_and_a_writer_waits_for_them(path: Path) -> None:
    written = threading.Event()

    def write() -> None:
        with store.write(path) as con:
            con.execute("INSERT INTO losses VALUES (now(), 'x', 1, NULL)")
        written.set()

    with store.read(path), store.read(path):
        thread = threading.Thread(target=write)
        thread.start()
        with pytest.raises(store.StoreBusy), store.write(path, wait_seconds=0.2):
            pass
        assert not written.is_set()
    thread.join(10)
    assert written.is_set()


def test_many_readers_do_not_starve_a_writer(path: Path) -> None:
    stop = threading.Event()

    def read_on() -> None:
        while not stop.is_set():
            count(path, wait_seconds=20)

    readers = [threading.Thread(target=read_on) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(3):
            with store.write(path, wait_seconds=20) as con:
                con.execute("INSERT INTO losses VALUES (now(), 'x', 1, NULL)")
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert count(path) == 4


@pytest.mark.parametrize("how", ["rw", "ro"])
def test_a_foreign_holder_is_named_and_waited_for(path: Path, how: str) -> None:
    with held(path, how) as child:
        with (
            pytest.raises(store.StoreBusy, match=f"PID {child.pid}"),
            store.write(path, wait_seconds=0.2),
        ):
            pass
        if how == "ro":
            assert count(path) == 1
        else:
            with pytest.raises(store.StoreBusy, match=f"PID {child.pid}"):
                count(path, wait_seconds=0.2)
    with store.write(path):
        pass


def test_a_killed_writer_leaves_no_lock_and_no_half_batch(path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from analytics import store\n"
        "with store.write(Path(sys.argv[1])) as con:\n"
        "    con.begin(); con.execute(\"INSERT INTO losses VALUES (now(), 'x', 1, NULL)\")\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = str(Path(store.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], env={**os.environ, "PYTHONPATH": root}, check=False
    )
    assert done.returncode == -9
    assert count(path) == 1


def damage(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def test_a_damaged_header_is_told_and_the_file_moved_aside(path: Path) -> None:
    damage(path, 100)
    with pytest.raises(store.StoreDamaged), store.read(path):
        pass
    assert store.suspicion_of(path).exists()
    losses = recover(path)
    assert "store damaged" in [loss.reason for loss in losses]
    assert [f for f in path.parent.iterdir() if ".corrupt-" in f.name]
    assert not store.suspicion_of(path).exists()
    assert count(path) == 0


def test_readable_tables_of_a_damaged_store_are_carried_over(path: Path) -> None:
    with store.write(path) as con:
        con.execute(
            "INSERT INTO contents (exchange_id, started_at, request_body) "
            "SELECT uuid(), now(), encode(md5(CAST(i AS VARCHAR))) FROM range(40000) AS r(i)"
        )
        con.execute("INSERT INTO exchanges (exchange_id, started_at) VALUES (uuid(), now())")
    with store.read(path) as con:
        blocks = con.execute(
            "SELECT DISTINCT block_id FROM pragma_storage_info('contents') "
            "WHERE block_id >= 0 EXCEPT SELECT DISTINCT block_id FROM "
            "pragma_storage_info('exchanges') WHERE block_id >= 0"
        ).fetchall()
    damage(path, 3 * 4096 + 262_144 * blocks[0][0] + 100_000)
    losses = recover(path)
    assert {loss.detail for loss in losses if loss.reason.startswith("table")} == {"contents"}
    with store.read(path) as con:
        assert con.execute("SELECT count(*) FROM exchanges").fetchone() == (1,)
    assert count(path) == 1


def test_a_sound_store_under_suspicion_stays(path: Path) -> None:
    store.suspect(path)
    assert recover(path) == []
    assert count(path) == 1
    assert not store.suspicion_of(path).exists()


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "SELECT 1; SELECT 2",
        "SELECT 1; DELETE FROM losses",
        "COMMIT; DELETE FROM losses",
        "DELETE FROM losses",
        "COPY losses TO '/tmp/x'",
        "ATTACH ':memory:' AS x",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 1",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "EXPLAIN ANALYZE SELECT 1",
        "not sql at all",
    ],
)
def test_only_one_select_is_accepted(sql: str) -> None:
    with pytest.raises(SqlRefused):
        one_select(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_csv('http://127.0.0.1:1/x')",
        "WITH gone AS (DELETE FROM losses RETURNING *) SELECT * FROM gone",
        "SELECT * FROM query('DELETE FROM losses')",
    ],
)
def test_sql_from_elsewhere_cannot_leave_the_store(path: Path, sql: str) -> None:
    with pytest.raises((duckdb.Error, SqlRefused)):
        sandbox.run(path, sql)
    assert count(path) == 1
    assert not store.suspicion_of(path).exists()


def test_a_query_gives_columns_and_at_most_the_rows_asked_for(path: Path) -> None:
    assert sandbox.run(path, "SELECT reason, count FROM losses;") == (
        ["reason", "count"],
        [("disk full", 3)],
    )
    _, rows = sandbox.run(path, "FROM range(100)", max_rows=7)
    assert len(rows) == 7


def test_an_endless_query_is_stopped(path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(SqlRefused, match="stopped after"):
        sandbox.run(
            path,
            "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range + b.range = 1",
            timeout_seconds=0.3,
        )
    assert time.monotonic() - begun < 30
