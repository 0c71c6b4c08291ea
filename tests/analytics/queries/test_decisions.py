from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from analytics import store
from analytics.queries import Selection
from analytics.queries.decisions import decisions
from tests.support import oracle
from tests.support.oracle import Line

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
MADE = (
    ("retry", None, "attempt 2 after 0.31 s", "429"),
    ("retry", None, "attempt 2 after 12.04 s", "503"),
    ("limit", "budget", "refused", "spent"),
)


def test_decisions_are_counted_by_what_was_done(tmp_path: Path) -> None:
    path = tmp_path / store.NAME
    with store.write(path) as con:
        for number, (policy, rule, action, reason) in enumerate(MADE):
            exchange_id, at = str(uuid.uuid4()), BEGAN + timedelta(minutes=number)
            con.execute(
                "INSERT INTO exchanges (exchange_id, started_at, feature) VALUES (?, ?, ?)",
                [exchange_id, at, policy],
            )
            con.execute(
                "INSERT INTO decisions (exchange_id, number, policy, rule, action, reason) "
                "VALUES (?, 1, ?, ?, ?, ?)",
                [exchange_id, policy, rule, action, reason],
            )
    with store.read(path) as con:
        found = decisions(con, Selection()).rows()
        only = decisions(con, Selection(values={"feature": ["limit"]}))
    later = BEGAN + timedelta(minutes=1)
    assert found[0] == ("retry", None, "attempt 2", 2, 2, later, "503")
    assert found[1][:5] == ("limit", "budget", "refused", 1, 1)
    assert only["policy"].to_list() == ["limit"]


def test_the_decisions_of_the_week_are_those_of_the_ledger(
    whole_week: duckdb.DuckDBPyConnection, lines: list[Line]
) -> None:
    names = ("policy", "rule", "action")
    made = [
        (tuple(decided[name] for name in names), line, decided["reason"])
        for line in lines
        for decided in line["decisions"]
    ]
    groups = oracle.grouped([{"what": each[0], "of": each} for each in made], "what")
    found = decisions(whole_week, Selection()).to_dicts()
    order = sorted(groups, key=lambda what: (-len(groups[what]), what))
    assert [tuple(row[name] for name in names) for row in found] == order
    assert {what[0] for what in order} == {"limit", "cache", "balance"}
    for row, what in zip(found, order, strict=True):
        members = [each["of"] for each in groups[what]]
        _, latest, reason = max(members, key=lambda m: (m[1]["started_at"], m[1]["exchange_id"]))
        assert row["decisions"] == len(members)
        assert row["exchanges"] == len({line["exchange_id"] for _, line, _ in members})
        assert (row["last_at"], row["last_reason"]) == (latest["started_at"], reason)
    refused = decisions(whole_week, Selection(values={"outcome": ["refused"]}))
    assert refused["decisions"].sum() == sum(line["outcome"] == "refused" for line in lines)
