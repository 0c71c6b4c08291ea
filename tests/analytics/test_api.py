from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

import analytics
from analytics import store
from analytics.handle import Handle
from analytics.queries import Selection
from analytics.windows import BadWindow
from proxy.config import ConfigError, Settings
from tests.support.small_store import exchange, fill

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return fill(
        tmp_path / store.NAME,
        exchange(
            feature="chat", user_id="ana", session_id="s", started_at=NOW - timedelta(hours=1)
        ),
        exchange(feature="chat", user_id="ben", tags={"team": "a"}, started_at=NOW),
        exchange(feature=None, user_id="ana", started_at=NOW - timedelta(days=2)),
        exchange(feature="old", started_at=NOW - timedelta(days=20)),
    )


@pytest.fixture
def handle(path: Path) -> Handle:
    return Handle(path, now=lambda: NOW + timedelta(hours=1))


def test_importing_is_cheap() -> None:
    code = "import sys, analytics; print({'duckdb', 'polars', 'pydantic'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_a_store_is_found_by_file_folder_settings_and_surroundings(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "meterline.toml"
    config.write_text(f'data_dir = "{tmp_path}"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("METERLINE_CONFIG", raising=False)
    for where in (path, str(path), tmp_path, config, Settings(data_dir=tmp_path), None):
        assert analytics.connect(where).path == path
    assert repr(analytics.connect(path)) == f"analytics.connect({str(path)!r})"


def test_settings_with_faults_are_refused(tmp_path: Path) -> None:
    config = tmp_path / "meterline.toml"
    config.write_text("data_dirr = 1\n")
    with pytest.raises(ConfigError, match="Did you mean data_dir"):
        analytics.connect(config)


def test_a_missing_store_is_an_error_of_the_first_call(tmp_path: Path) -> None:
    handle = analytics.connect(tmp_path)
    with pytest.raises(store.StoreMissing):
        handle.spend()


def test_nobody_holds_the_file(handle: Handle, path: Path) -> None:
    handle.spend()
    with duckdb.connect(str(path)) as con:
        con.execute("CREATE TABLE mine (n INTEGER)")
    assert handle.sql("FROM mine").is_empty()


def test_the_store_cannot_be_changed(handle: Handle) -> None:
    with pytest.raises(duckdb.Error, match="read-only"):
        handle.sql("DELETE FROM exchanges")


def test_sql_gives_frames_with_exact_money(handle: Handle) -> None:
    frame = handle.sql("SELECT * FROM exchanges WHERE feature = ? ORDER BY user_id", ["chat"])
    assert frame["cost_usd"].to_list() == [Decimal(1), Decimal(1)]
    assert frame["user_id"].to_list() == ["ana", "ben"]
    assert frame["exchange_id"].dtype == pl.String


def test_windows_and_filters_are_written_as_text(handle: Handle) -> None:
    assert handle.spend(last="7d")["exchanges"][-1] == 3
    assert handle.spend(last="today")["exchanges"][-1] == 2
    assert handle.spend(last="all", where={"feature": None})["exchanges"][-1] == 1
    assert handle.spend(last="all", where={"user": ["ana", "ben"]})["exchanges"][-1] == 3
    assert handle.spend(last="all", where={"tag:team": "a"})["exchanges"][-1] == 1
    with pytest.raises(BadWindow):
        handle.spend(last="soon")


def test_a_selection_serves_functions_that_take_one(handle: Handle) -> None:
    chosen = handle.selection("7d", {"feature": "chat"})
    assert chosen == Selection(window=chosen.window, values={"feature": ["chat"]})
    with handle.open() as con:
        assert con.execute("SELECT count(*) FROM exchanges").fetchall() == [(4,)]


@pytest.mark.parametrize(
    "name",
    [
        *("overview", "spend", "usage", "timing", "failures", "error_kinds", "failed_attempts"),
        *("people", "over_time", "durations_over_time", "sessions", "exchanges", "blind_spots"),
        *("unpriced", "losses", "forecast", "forecast_by_day"),
    ],
)
def test_every_question_has_an_answer_without_arguments(handle: Handle, name: str) -> None:
    assert isinstance(getattr(handle, name)(), pl.DataFrame)


def test_the_reports_are_there_as_methods(handle: Handle, tmp_path: Path) -> None:
    bill = tmp_path / "bill.csv"
    bill.write_text(f"date,model,cost\n{NOW.date()},gpt-4o-mini,25\n", encoding="utf-8")
    reports = handle.reports
    assert reports.change(against="2026-10-01..2026-10-31").groups["exchanges"][-1] == 3
    assert reports.change(where={"user": "ben"}, by="user").groups["name"].to_list()[0] == "ben"
    assert reports.waste(last="all").exchanges == 4
    assert reports.prompts().versions.is_empty()
    assert reports.anomalies().findings.is_empty()
    assert reports.whatif("gpt-4.1-mini").left_out["exchanges"].sum() > 0
    assert reports.reconcile(bill).summary["billed_usd"][-1] == 25
    with pytest.raises(ValueError, match="no beginning"):
        reports.change("all")


def test_questions_about_one_thing(handle: Handle) -> None:
    assert handle.session("s").height == 3
    assert handle.choices("user", last="all")["name"].to_list() == ["ana", "ben", None]
    assert handle.over_time("feature", "24h")["start"].n_unique() == 24
    assert handle.exchanges("all", take=["feature", "model"], limit=2).shape == (2, 2)
