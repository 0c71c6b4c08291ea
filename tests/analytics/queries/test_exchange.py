"""One exchange of the week, with all that belongs to it, against the ledger and the plan."""

from __future__ import annotations

import duckdb
import pytest

from analytics.queries.exchange import BadId, candidates, digits, whole
from sample_data.generator import bodies
from sample_data.generator.plan import plan
from sample_data.generator.week import WINDOW
from tests.support import oracle
from tests.support.oracle import ANSWERED_HERE, Line

Lines = list[Line]


def bare(line: Line) -> str:
    return str(line["exchange_id"]).replace("-", "")


def test_all_that_belongs_to_an_exchange_is_that_of_the_ledger(
    whole_week: duckdb.DuckDBPyConnection, lines: Lines
) -> None:
    decided = [line for line in lines if line["decisions"]]
    planned = {each.exchange_id: each for each in plan(WINDOW)}
    for line in [*lines[::211], *decided[::17]]:
        found = whole(whole_week, line["exchange_id"])
        row, each = found.exchange, planned[line["exchange_id"]]
        for name in ("feature", "user_id", "provider", "outcome", "status", "cache_hit"):
            assert row[name] == line[name]
        assert str(row["exchange_id"]) == line["exchange_id"]
        assert (row["started_at"], row["cost_usd"]) == (line["started_at"], oracle.usd([line]))
        tried = [] if line["outcome"] in ANSWERED_HERE else [(1, line["provider"], line["status"])]
        assert [(a["number"], a["upstream"], a["status"]) for a in found.attempts] == tried
        names = ("policy", "rule", "action", "reason")
        assert [{name: made[name] for name in names} for made in found.decisions] == line[
            "decisions"
        ]
        made = bodies.made(each)
        assert found.content is not None
        assert found.content["request_body"] == made.request
        assert found.content["response_body"] == made.response


@pytest.mark.parametrize("size", [4, 6, 9, 32])
def test_a_part_of_an_id_finds_those_that_begin_or_end_with_it(
    week: duckdb.DuckDBPyConnection, lines: Lines, size: int
) -> None:
    for line in lines[::499]:
        for part in (bare(line)[:size], bare(line)[-size:]):
            those = [x for x in lines if bare(x).startswith(part) or bare(x).endswith(part)]
            those.sort(key=lambda x: x["exchange_id"])
            those.sort(key=lambda x: x["started_at"], reverse=True)
            frame = candidates(week, digits(part))
            assert frame["exchange_id"].to_list() == [x["exchange_id"] for x in those[:10]]
            for row, other in zip(frame.to_dicts(), those, strict=False):
                for name in ("started_at", "provider", "model", "feature"):
                    assert row[name] == other[name]


def test_an_id_is_understood_however_it_is_copied(lines: Lines) -> None:
    line = lines[0]
    assert digits(f" {str(line['exchange_id']).upper()}\n") == bare(line)
    assert digits(f"…{bare(line)[-8:]}") == bare(line)[-8:]


@pytest.mark.parametrize("text", ["", "abc", "no id", "12345%", "0" * 33])
def test_what_is_no_part_of_an_id_is_refused(text: str) -> None:
    with pytest.raises(BadId):
        digits(text)
