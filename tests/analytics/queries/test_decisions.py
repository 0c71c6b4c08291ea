from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

from analytics import store
from analytics.queries import Selection
from analytics.queries.decisions import decisions

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
