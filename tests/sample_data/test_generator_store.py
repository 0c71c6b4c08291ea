"""The store that the generator fills says what the poster would have said, and what the ledger
knows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from analytics import store
from analytics.poster import Poster
from analytics.prices import PriceBook
from analytics.reprice import reprice
from proxy.config import load
from sample_data.generator import (
    Window,
    fill,
    fill_rows,
    has_sample,
    price_book,
    write_journal,
    write_settings,
)
from sample_data.generator.days import Order, made, make
from sample_data.generator.demo_folder import prepare
from sample_data.generator.ledger import Ledger, read

END = datetime(2026, 11, 24, tzinfo=UTC)
DAY = Window(end=END, days=1, scale=0.7)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day in a store, with its ledger."""
    folder = tmp_path_factory.mktemp("day")
    number = fill(folder, days=1, end=END, scale=DAY.scale, ledger=folder / "ledger.gz")
    assert number == len(read(folder / "ledger.gz").exchanges) > 500
    return folder


@pytest.fixture(scope="module")
def posted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same day, through the journal and the real poster."""
    folder = tmp_path_factory.mktemp("posted")
    write_journal(folder, DAY)
    poster = Poster(folder, book=price_book(DAY))
    while poster.post_once().behind:
        continue
    poster.close()
    return folder


@contextmanager
def both(one: Path, other: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        for name, folder in (("one", one), ("other", other)):
            path = store.quoted(folder / store.NAME)
            con.execute(f"ATTACH '{path}' AS {name} (READ_ONLY)")
        yield con


@pytest.mark.parametrize("table", ["exchanges", "attempts", "decisions", "contents"])
def test_every_column_is_as_the_poster_makes_it(day: Path, posted: Path, table: str) -> None:
    key = "exchange_id, number" if table in ("attempts", "decisions") else "exchange_id"
    with both(day, posted) as con:
        names = [row[0] for row in con.execute(f"DESCRIBE one.{table}").fetchall()]
        differing = {
            name: number
            for name in names
            if (
                number := con.execute(
                    f"SELECT count(*) FROM one.{table} JOIN other.{table} USING ({key}) "
                    f'WHERE one.{table}."{name}" IS DISTINCT FROM other.{table}."{name}"'
                ).fetchall()[0][0]
            )
        }
        assert differing == {}
        counts = [
            con.execute(f"SELECT count(*) FROM {each}.{table}").fetchall()
            for each in ("one", "other")
        ]
        assert counts[0] == counts[1] > [(0,)]


def test_nothing_was_lost_or_left_unread_on_the_way(posted: Path) -> None:
    with store.read(posted / store.NAME) as con:
        assert con.execute("SELECT count(*) FROM losses").fetchall() == [(0,)]
        unread = "SELECT count(*) FROM exchanges WHERE parse_error IS NOT NULL"
        assert con.execute(unread).fetchall() == [(0,)]


def _rows(folder: Path) -> dict[str, dict[str, Any]]:
    with store.read(folder / store.NAME) as con:
        found = con.execute("SELECT * FROM exchanges")
        names = [column[0] for column in found.description]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return {str(row["exchange_id"]): row for row in rows}


def test_the_ledger_and_the_poster_agree_on_every_exchange(day: Path, posted: Path) -> None:
    rows, ledger = _rows(posted), read(day / "ledger.gz")
    assert len(rows) == len(ledger.exchanges)
    for line in ledger.exchanges:
        row = rows[line["exchange_id"]]
        same = ("feature", "user_id", "session_id", "environment", "provider", "outcome", "status")
        same += ("stream", "usage_source", "cost_status", "duration_seconds", "error_type")
        assert [row[name] for name in same] == [line[name] for name in same]
        assert row["started_at"] == datetime.fromisoformat(line["started_at"])
        assert row["request_model"] == line["model"]
        for name in ("cost_usd", "input_cost_usd", "output_cost_usd"):
            assert row[name] == (None if line[name] is None else Decimal(line[name])), line
        for name, tokens in (line["tokens"] or {}).items():
            assert row[f"{name}_tokens"] == tokens
        assert row["cache_hit"] == line["cache_hit"]
        assert row["saved_usd"] == (line["saved_usd"] and Decimal(line["saved_usd"]))
        rules = {decided["rule"]: None for decided in line["decisions"]}
        assert row["rules"] == (list(rules) or None)


def test_equal_hashes_in_the_ledger_are_equal_bodies_in_the_store(day: Path) -> None:
    hashes = {line["exchange_id"]: line["request_hash"] for line in _ledger(day).exchanges}
    with store.read(day / store.NAME) as con:
        bodies = con.execute(
            "SELECT CAST(exchange_id AS VARCHAR), provider || path || md5(request_body) "
            "FROM contents JOIN exchanges USING (exchange_id)"
        ).fetchall()
    by_body: dict[str, set[str]] = {}
    for exchange_id, body in bodies:
        by_body.setdefault(body, set()).add(hashes[exchange_id])
    assert all(len(found) == 1 for found in by_body.values())
    assert len(by_body) == len(set(hashes.values())) < len(hashes)


def _ledger(folder: Path) -> Ledger:
    return read(folder / "ledger.gz")


def test_a_month_costs_what_the_price_lists_say(tmp_path: Path) -> None:
    window = Window(end=END, days=30, scale=0.05)
    fill(tmp_path, days=30, end=END, scale=0.05, contents=False)
    assert reprice(tmp_path / store.NAME, price_book(window), dry_run=True).is_empty()
    changed = reprice(tmp_path / store.NAME, PriceBook(), dry_run=True)
    assert changed["model"].to_list() == ["mistral-small-latest"] * changed.height


def test_the_settings_beside_the_data_bring_its_prices(tmp_path: Path) -> None:
    settings = load(str(write_settings(tmp_path, DAY)))
    assert settings.data_dir == tmp_path
    known = [(price.model, price.input_usd_per_mtok) for price in settings.prices]
    assert known == [
        ("mistral-small-latest", Decimal("0.2")),
        ("mistral-small-latest", Decimal("0.3")),
    ]


def test_the_same_window_gives_the_same_bytes_of_a_ledger(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sample_data.generator", "--days", "2", "--scale", "0.1"]
    command += ["--end", "2026-11-24", "--via", "journal", "--out"]
    ledgers = []
    for name in ("one", "other"):
        subprocess.run([*command, str(tmp_path / name)], check=True, capture_output=True)
        ledgers.append((tmp_path / name / "ledger.jsonl.gz").read_bytes())
    assert ledgers[0] == ledgers[1]


def test_it_makes_no_difference_who_makes_the_days() -> None:
    order = Order(Window(end=END, days=12, scale=0.5), contents=False, ledger=True)
    with made(order) as elsewhere:
        for here, there in zip(make(order), elsewhere, strict=True):
            assert here.lines == there.lines
            assert [batch.tables for batch in here.batches] == [
                batch.tables for batch in there.batches
            ]


def test_workers_end_when_nobody_wants_their_days() -> None:
    order = Order(Window(end=END, days=30), contents=True, ledger=False)
    with made(order) as days:
        assert next(days).exchanges


def test_a_fault_while_filling_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(_number: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path, days=1, end=END, scale=0.1, progress=fail)
    assert not has_sample(tmp_path)
    with store.read(tmp_path / store.NAME) as con:
        assert con.execute("SELECT count(*) FROM exchanges").fetchall() == [(0,)]
    fill(tmp_path, days=1, end=END, scale=0.1)
    assert has_sample(tmp_path)


def test_rows_for_benchmarks_are_as_many_as_asked_and_all_distinct(tmp_path: Path) -> None:
    window = Window(end=END, days=3, scale=0.1)
    assert fill_rows(tmp_path, window, 1_234) == 1_234
    with store.read(tmp_path / store.NAME) as con:
        counts = con.execute(
            "SELECT count(*), count(DISTINCT exchange_id), min(started_at), max(started_at), "
            "sum(attempts), sum(len(rules)) FROM exchanges"
        ).fetchall()[0]
        tried = con.execute(
            "SELECT count(*) FROM attempts JOIN exchanges USING (exchange_id) "
            "WHERE attempts.started_at BETWEEN exchanges.started_at "
            "AND exchanges.started_at + INTERVAL 1 SECOND"
        ).fetchall()[0]
        decided = con.execute(
            "SELECT count(DISTINCT (exchange_id, rule)) FROM decisions "
            "SEMI JOIN exchanges USING (exchange_id)"
        ).fetchall()[0]
    assert counts[:2] == (1_234, 1_234)
    assert window.first_day <= counts[2] <= counts[3] < END
    assert tried == counts[4:5]
    assert decided == counts[5:]
    assert decided > (10,)


def test_the_demo_has_a_folder_of_its_own(tmp_path: Path) -> None:
    theirs = tmp_path / "meterline-demo"
    theirs.mkdir()
    (theirs / "notes.txt").write_text("mine")
    folder = prepare(tmp_path / "meterline-data")
    assert folder.path == tmp_path / "meterline-demo-2"
    assert folder.is_empty
    assert load(str(folder.settings)).data_dir == folder.path
    assert prepare(tmp_path / "meterline-data").path == folder.path
    assert [path.name for path in theirs.iterdir()] == ["notes.txt"]


def test_a_demo_that_ends_early_leaves_an_empty_store(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "meterline-data")
    with folder.filling():
        pass
    assert not has_sample(folder.path)
    assert prepare(tmp_path / "meterline-data").is_empty
