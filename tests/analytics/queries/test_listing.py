from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from analytics import store
from analytics.queries import Selection
from analytics.queries.choices import choices, tag_names
from analytics.queries.listing import KNOWN, USUAL, UnknownColumn, listing
from tests.support import oracle
from tests.support.oracle import Line
from tests.support.small_store import exchange, fill

Lines = list[Line]


def test_pages_together_are_all_exchanges_once(
    week: duckdb.DuckDBPyConnection, lines: Lines
) -> None:
    seen: list[str] = []
    for offset in range(0, len(lines), 1000):
        page = listing(week, Selection(), limit=1000, offset=offset)
        seen += page["exchange_id"].to_list()
    assert seen == [line["exchange_id"] for line in reversed(lines)]


def test_rows_say_what_the_ledger_says(week: duckdb.DuckDBPyConnection, lines: Lines) -> None:
    frame = listing(week, Selection(), sort="earliest", limit=None)
    assert frame.columns == list(USUAL)
    for row, line in zip(frame.to_dicts(), lines, strict=True):
        for name in ("exchange_id", "started_at", "model", "outcome", "status", "session_id"):
            assert row[name] == line[name]
        assert row["cost_usd"] == oracle.usd([line])


@pytest.mark.parametrize(
    ("sort", "column"), [("cost", "cost_usd"), ("duration", "duration_seconds")]
)
def test_the_largest_come_first(week: duckdb.DuckDBPyConnection, sort: str, column: str) -> None:
    values = listing(week, Selection(), sort=sort, limit=50)[column]  # type: ignore[arg-type]
    assert values.is_sorted(descending=True)


def test_any_column_can_be_taken(week: duckdb.DuckDBPyConnection) -> None:
    assert listing(week, Selection(), take=KNOWN, limit=3).columns == list(KNOWN)


def test_an_unknown_column_is_refused(week: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(UnknownColumn, match="cost_usd"):
        listing(week, Selection(), take=["1 FROM losses; --"])


def test_choices_are_the_values_of_the_ledger(
    week: duckdb.DuckDBPyConnection, lines: Lines
) -> None:
    groups = oracle.grouped(lines, "provider")
    found = dict(choices(week, "provider", Selection()).iter_rows())
    assert found == {name: len(members) for name, members in groups.items()}
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_tags_are_offered_by_name(week: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    assert set(tag_names(week)["name"]) == {"team", "plan"}
    path = fill(tmp_path / store.NAME, exchange())
    with store.read(path) as con:
        assert tag_names(con).is_empty()
