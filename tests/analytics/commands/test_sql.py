from __future__ import annotations

import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from analytics.commands.sql import EXAMPLES
from analytics.views import VIEWS

Function = Callable[..., Any]


def test_a_query_is_answered_as_a_table(post: Function, run: Function) -> None:
    post({"feature": "chat"}, {"feature": None, "cost_usd": Decimal("0.5")})
    ran = run("sql", "SELECT feature, cost_usd FROM exchanges ORDER BY cost_usd")
    assert ran.out.splitlines() == [
        "feature  cost_usd",
        "-------  --------",
        "chat         0.01",
        "-             0.5",
    ]


def test_a_query_may_come_from_stdin(
    post: Function, run: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    post({})
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT count(*) AS n\nFROM exchanges -- all\n"))
    assert json.loads(run("sql", "-", "--format", "json").out) == [{"n": 1}]


def test_more_rows_than_asked_for_are_told(post: Function, run: Function) -> None:
    post({}, {}, {})
    ran = run("sql", "FROM exchanges SELECT provider", "--max-rows", "2", "--format", "csv")
    assert ran.out.count("openai") == 2
    assert "the first 2 rows" in ran.err
    assert "first" not in run("sql", "FROM exchanges SELECT provider", "--max-rows", "3").err


def test_a_mistake_comes_with_duckdbs_hint(post: Function, run: Function) -> None:
    post({})
    ran = run("sql", "SELECT cost_usdd FROM exchanges")
    assert ran.code == 2
    assert '"cost_usd"' in ran.err
    assert "^^^" in ran.err
    assert "exchanges" in run("sql", "SELECT * FROM exchange").err


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM exchanges",
        "SELECT 1; SELECT 2",
        "COPY exchanges TO 'here.csv'",
        "ATTACH 'other.db'",
        "SET memory_limit = '1TB'",
        "INSTALL httpfs",
        "",
        "  -- nothing",
    ],
)
def test_only_one_select_is_accepted(post: Function, run: Function, query: str) -> None:
    post({})
    ran = run("sql", query)
    assert ran.code == 2
    assert ran.err
    assert json.loads(
        run("sql", "SELECT count(*) AS n FROM exchanges", "--format", "json").out
    ) == [{"n": 1}]


def test_no_file_can_be_read(post: Function, run: Function, tmp_path: Path) -> None:
    post({})
    secret = tmp_path / "secret.txt"
    secret.write_text("canary")
    for query in (f"FROM read_text('{secret}')", f"SELECT * FROM glob('{tmp_path}/*')"):
        ran = run("sql", query)
        assert ran.code == 2
        assert "canary" not in ran.out + ran.err


def test_a_query_that_takes_too_long_is_stopped(post: Function, run: Function) -> None:
    post({})
    endless = "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range % 7 = 3"
    ran = run("sql", endless, "--timeout", "0.3")
    assert ran.code == 2
    assert "stopped after 0.3 seconds" in ran.err


def test_without_a_query_it_shows_what_there_is(run: Function) -> None:
    ran = run("sql")
    assert ran.code == 0
    assert all(view in ran.out for view in VIEWS)
    assert "cost_status" in ran.out


@pytest.mark.parametrize("query", [query for _, query in EXAMPLES])
def test_every_example_runs(post: Function, run: Function, query: str) -> None:
    post({"tags": {"team": "a"}})
    assert run("sql", query).code == 0


def test_what_a_query_gives_cannot_steer_the_terminal(post: Function, run: Function) -> None:
    post({"error_message": "\x1b[2J\x07"})
    assert "\\x1b[2J\\x07" in run("sql", "SELECT error_message FROM exchanges").out
    assert "\x1b" not in run("sql", "SELECT nope\x1b[2J FROM exchanges").err
