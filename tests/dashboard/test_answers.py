from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from analytics import store
from dashboard.answers import Answers
from tests.support.holding import held
from tests.support.processes import wait_for


@pytest.fixture
def answers(tmp_path: Path) -> Answers:
    path = tmp_path / store.NAME
    with store.write(path):
        pass
    return Answers(path)


calls: list[str] = []


def count(con: duckdb.DuckDBPyConnection, what: str = "losses") -> int:
    calls.append(what)
    found = con.execute(f"SELECT count(*) FROM {what}").fetchone()
    assert found is not None
    return int(found[0])


def lose(path: Path) -> None:
    with store.write(path) as con:
        con.execute("INSERT INTO losses VALUES (now(), 'gone', 1, NULL)")


def test_query_is_asked_once_while_the_store_stays_as_it_is(answers: Answers) -> None:
    calls.clear()
    assert [answers.ask(count), answers.ask(count), answers.ask(count, "attempts")] == [0, 0, 0]
    assert calls == ["losses", "attempts"]


def test_changed_store_is_asked_again(answers: Answers) -> None:
    assert answers.ask(count) == 0
    lose(answers.path)
    assert answers.ask(count) == 1


def test_what_hardly_changes_is_kept_for_minutes(answers: Answers) -> None:
    assert answers.ask_seldom(count) == 0
    lose(answers.path)
    assert answers.ask_seldom(count) == 0
    assert answers.ask(count) == 1


def test_what_takes_long_is_asked_beside(answers: Answers) -> None:
    lose(answers.path)
    assert answers.ask_later(count) is None
    assert wait_for(lambda: answers.ask_later(count), "the answer") == 1


def test_held_store_gives_the_last_answer_and_says_so(answers: Answers) -> None:
    answers.ask(count)
    lose(answers.path)
    with held(answers.path):
        assert answers.ask(count) == 0
        assert answers.held is not None
        with pytest.raises(store.StoreBusy):
            answers.ask(count, "attempts")


def test_moment_stands_still_while_the_store_is_held(answers: Answers) -> None:
    noon = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
    assert answers.moment(noon) == datetime(2026, 3, 1, 12, tzinfo=UTC)
    answers.ask(count)
    with held(answers.path):
        assert answers.moment(noon + timedelta(minutes=5)) == datetime(2026, 3, 1, 12, tzinfo=UTC)
    answers._busy_until = 0.0
    assert answers.moment(noon + timedelta(minutes=6)) == datetime(2026, 3, 1, 12, 6, tzinfo=UTC)
    assert answers.held is None


def test_missing_store_is_told(tmp_path: Path) -> None:
    with pytest.raises(store.StoreMissing):
        Answers(tmp_path / "none.duckdb").ask(count)
