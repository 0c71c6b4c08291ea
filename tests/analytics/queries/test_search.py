"""Text search in bodies, and exchanges listed by id."""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from analytics import store
from analytics.queries import Selection
from analytics.queries import search as module
from analytics.queries.search import listed, search
from analytics.windows import Window
from sample_data.generator import bodies
from sample_data.generator.plan import plan
from sample_data.generator.week import WINDOW
from tests.support.oracle import Line

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
BODIES = (
    (b'{"content": "Where is my Refund?"}', b'{"text": "Soon."}'),
    (b'{"content": "nothing"}', b'{"text": "a refund, perhaps"}'),
    ('{"content": "Größe \\"XL\\""}'.encode(), b'{"text": "Gr\\u00f6\\u00dfe XL"}'),
    (gzip.compress(b"refund"), b"\xff\xfe\x00refund"),
)


@pytest.fixture
def said(tmp_path: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, list[str]]]:
    """Four exchanges with contents, a minute apart, and one without; their ids."""
    path, ids = tmp_path / store.NAME, [str(uuid.uuid4()) for _ in range(5)]
    with store.write(path) as con:
        for number, exchange_id in enumerate(ids):
            at = BEGAN + timedelta(minutes=number)
            con.execute(
                "INSERT INTO exchanges (exchange_id, started_at, feature) VALUES (?, ?, ?)",
                [exchange_id, at, "even" if number % 2 == 0 else "odd"],
            )
            if number < len(BODIES):
                con.execute(
                    "INSERT INTO contents (exchange_id, started_at, request_body, response_body) "
                    "VALUES (?, ?, ?, ?)",
                    [exchange_id, at, *BODIES[number]],
                )
    with store.read(path) as con:
        yield con, ids


Said = tuple[duckdb.DuckDBPyConnection, list[str]]


def test_text_is_found_in_any_case_on_either_side_latest_first(said: Said) -> None:
    con, ids = said
    hits = search(con, Selection(), "REFUND")
    assert hits.found.rows() == [(ids[1], "response"), (ids[0], "request")]
    assert (hits.searched, hits.is_whole) == (4, True)


def test_text_is_found_however_json_writes_it(said: Said) -> None:
    con, ids = said
    assert search(con, Selection(), "größe").found.rows() == [(ids[2], "both")]
    assert search(con, Selection(), '"XL"').found.rows() == [(ids[2], "request")]


def test_filters_and_windows_bound_the_search(said: Said) -> None:
    con, ids = said
    odd = Selection(values={"feature": ["odd"]})
    assert search(con, odd, "refund").found["exchange_id"].to_list() == [ids[1]]
    early = Selection(window=Window(until=BEGAN + timedelta(minutes=1)))
    assert search(con, early, "refund").found["exchange_id"].to_list() == [ids[0]]


def test_signs_of_patterns_are_signs(said: Said) -> None:
    con, _ = said
    for text in ("ref%", "ref_nd", "ref.*", "'; DROP TABLE exchanges; --"):
        assert search(con, Selection(), text).found.is_empty()


def test_small_steps_find_the_same(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    con, _ = said
    whole = search(con, Selection(), "refund")
    monkeypatch.setattr(module, "STEP", 1)
    assert search(con, Selection(), "refund").found.equals(whole.found)


def test_bound_search_says_that_it_is_not_whole(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    con, _ = said
    monkeypatch.setattr(module, "STEP", 1)
    monkeypatch.setattr(module, "MOST", 2)
    hits = search(con, Selection(), "refund")
    assert (hits.searched, hits.is_whole) == (2, False)


def test_exchanges_are_listed_in_the_order_of_their_ids(said: Said) -> None:
    con, ids = said
    wanted = [ids[3], ids[0], str(uuid.uuid4()), ids[4]]
    assert listed(con, wanted)["exchange_id"].to_list() == [ids[3], ids[0], ids[4]]


@pytest.fixture(scope="module")
def week_said() -> dict[str, tuple[str, str]]:
    """What the plan of the week has in its bodies, in lower case."""
    return {
        each.exchange_id: (made.request.decode().lower(), made.response.decode().lower())
        for each in plan(WINDOW)
        for made in (bodies.made(each),)
    }


SIDES = {(True, True): "both", (True, False): "request", (False, True): "response"}


@pytest.mark.parametrize("text", ["Overloaded", "track_parcel", '"Role":"system"', "no such words"])
def test_what_is_found_in_the_week_is_what_its_bodies_have(
    whole_week: duckdb.DuckDBPyConnection,
    lines: list[Line],
    week_said: dict[str, tuple[str, str]],
    text: str,
) -> None:
    wanted = []
    for line in sorted(lines, key=lambda x: (x["started_at"], x["exchange_id"]), reverse=True):
        asked, answered = week_said[line["exchange_id"]]
        if side := SIDES.get((text.lower() in asked, text.lower() in answered)):
            wanted.append((line["exchange_id"], side))
    hits = search(whole_week, Selection(), text, limit=10_000)
    assert hits.found.rows() == wanted
    assert (hits.searched, hits.is_whole) == (len(lines), True)
    some = [exchange_id for exchange_id, _ in wanted[:40:7]]
    by_id = {line["exchange_id"]: line for line in lines}
    for row in listed(whole_week, some).to_dicts():
        for name in ("feature", "model", "user_id", "session_id", "status", "outcome"):
            assert row[name] == by_id[row["exchange_id"]][name]
