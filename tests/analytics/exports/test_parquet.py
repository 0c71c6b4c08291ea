from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from analytics import exports
from analytics.exports import parquet
from analytics.queries import Selection
from analytics.windows import Window
from proxy.config import Settings
from proxy.exchange import Exchange, columns
from tests.analytics.exports.conftest import NOON, Put, Run

DAY = timedelta(days=1)


def test_each_utc_day_has_its_folder_and_polars_reads_them_as_one_table(
    settings: Settings, put: Put, tmp_path: Path
) -> None:
    put(
        {"started_at": datetime(2026, 11, 1, 23, 59, 59, tzinfo=UTC)},
        {"started_at": datetime(2026, 11, 2, tzinfo=UTC)},
        {"started_at": NOON},
    )
    written = parquet.export(settings.store_path, tmp_path / "out", "parquet", Selection())
    assert (written.exchanges, written.days, written.files) == (3, 2, 2)
    frame = pl.read_parquet(tmp_path / "out/exchanges/**/*.parquet", hive_partitioning=True)
    assert frame.group_by("day").len().sort("day")["len"].to_list() == [1, 2]
    assert set(frame.columns) == {c.name for c in columns(Exchange)} | {"day"}


def test_values_come_back_as_they_were(settings: Settings, put: Put, tmp_path: Path) -> None:
    (exchange_id,) = put({"tags": {"team": "blue"}, "finish_reasons": ["stop"]})
    parquet.export(settings.store_path, tmp_path / "out", "parquet", Selection())
    with duckdb.connect() as con:
        found = con.execute(
            "SELECT CAST(exchange_id AS VARCHAR), tags['team'], finish_reasons, "
            f"CAST(cost_usd AS VARCHAR), user_id FROM '{tmp_path}/out/**/*.parquet'"
        ).fetchall()
    assert found == [(exchange_id, "blue", ["stop"], "0.003000000000", None)]


def test_csv_has_maps_and_lists_as_json(settings: Settings, put: Put, tmp_path: Path) -> None:
    put({"tags": {"team": 'bl"ue,'}, "finish_reasons": ["stop"], "error_message": "two\nlines"})
    parquet.export(settings.store_path, tmp_path / "out", "csv", Selection())
    frame = pl.read_csv(tmp_path / "out/exchanges/day=2026-11-02/exchanges.csv")
    row = frame.row(0, named=True)
    assert row["tags"] == '{"team":"bl\\"ue,"}'
    assert row["finish_reasons"] == '["stop"]'
    assert row["error_message"] == "two\nlines"


def test_filters_and_window_decide_what_is_written(
    settings: Settings, put: Put, tmp_path: Path
) -> None:
    put({"feature": "chat"}, {"feature": "search"}, {"feature": "chat", "started_at": NOON - DAY})
    selection = Selection(window=Window(since=NOON), values={"feature": ["chat"]})
    written = parquet.export(settings.store_path, tmp_path / "out", "parquet", selection)
    assert written.exchanges == 1
    assert pl.read_parquet(tmp_path / "out/**/*.parquet")["feature"].to_list() == ["chat"]


def test_contents_are_written_only_when_asked_for_and_follow_the_filters(
    settings: Settings, put: Put, tmp_path: Path
) -> None:
    put({"user_id": "ana", "asked": "Hello?"}, {"user_id": "ben", "asked": "Secret?"})
    selection = Selection(values={"user": ["ana"]})
    parquet.export(settings.store_path, tmp_path / "without", "parquet", selection)
    assert not (tmp_path / "without/contents").exists()
    parquet.export(settings.store_path, tmp_path / "with", "parquet", selection, contents=True)
    bodies = pl.read_parquet(tmp_path / "with/contents/**/*.parquet")["request_body"].to_list()
    assert len(bodies) == 1
    assert b"Hello?" in bodies[0]


def test_nothing_is_overwritten_unless_told_to(
    settings: Settings, put: Put, tmp_path: Path
) -> None:
    put({})
    target = tmp_path / "out/exchanges/day=2026-11-02/exchanges.parquet"
    parquet.export(settings.store_path, tmp_path / "out", "parquet", Selection())
    before = target.read_bytes()
    put({})
    with pytest.raises(exports.ExportRefused, match="--overwrite"):
        parquet.export(settings.store_path, tmp_path / "out", "parquet", Selection())
    assert target.read_bytes() == before
    parquet.export(settings.store_path, tmp_path / "out", "parquet", Selection(), overwrite=True)
    assert pl.read_parquet(target).height == 2


def test_files_are_for_their_owner_only(settings: Settings, put: Put, tmp_path: Path) -> None:
    put({})
    parquet.export(settings.store_path, tmp_path / "out", "parquet", Selection())
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert [path.name for path in files] == ["exchanges.parquet"]
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600


def test_progress_counts_up_to_all(settings: Settings, put: Put, tmp_path: Path) -> None:
    put({}, {"started_at": NOON - DAY})
    seen: list[tuple[int, int]] = []
    parquet.export(
        settings.store_path,
        tmp_path / "out",
        "csv",
        Selection(),
        progress=lambda done, whole: seen.append((done, whole)),
    )
    assert seen == [(1, 2), (2, 2)]


def test_pages_cover_every_row_once_even_where_times_are_equal(
    settings: Settings, put: Put
) -> None:
    ids = put(*({"started_at": NOON + timedelta(seconds=n // 4)} for n in range(23)))
    (day,) = exports.days(settings.store_path, Selection())
    found = list(
        exports.rows(
            settings.store_path,
            day.selection,
            "CAST(exchange_id AS VARCHAR) AS exchange_id",
            page_rows=5,
        )
    )
    assert [row["exchange_id"] for row in found] != []
    assert sorted(row["exchange_id"] for row in found) == sorted(ids)
    assert [row["_at"] for row in found] == sorted(row["_at"] for row in found)


def test_command_tells_what_it_wrote_and_refuses_what_does_not_fit(
    run: Run, put: Put, tmp_path: Path
) -> None:
    put({})
    code, said = run("export", "parquet", "--out", str(tmp_path / "out"), "--last", "all")
    assert code == 0
    assert "1 exchange of 1 day in 1 file" in said
    refusals: list[tuple[tuple[Any, ...], str]] = [
        (("parquet",), "--out"),
        (("parquet", "--out", "x", "--redact"), "--redact does not fit"),
        (("csv", "--out", "x", "--last", "soon"), "--last 'soon'"),
        (("csv", "--out", "x", "--tag", "blue"), "NAME=VALUE"),
        (("parquet", "--out", str(tmp_path / "out"), "--last", "all"), "is there already"),
    ]
    for arguments, text in refusals:
        code, said = run("export", *arguments)
        assert code == 2
        assert text in said
