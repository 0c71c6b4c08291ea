"""An answer that can be fetched again is billed once, whoever saw how much of it, in any order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from analytics import hours, store, stored
from analytics.billed_answers import Bearer, gives_way, takes_over
from analytics.poster import Poster
from analytics.prices import PriceBook
from analytics.queries import Selection
from analytics.queries.spend import spend
from analytics.reparse import reparse

Query = Callable[[str], list[tuple[Any, ...]]]
STREAM = [("content-type", "text/event-stream")]


@dataclass(frozen=True)
class Wire:
    """A format whose answers can be fetched by id."""

    provider: str
    path: str
    request: dict[str, Any]
    events: list[dict[str, Any]]
    """Of a stream that is cut."""
    answer: dict[str, Any]
    told: tuple[int, int]
    """The tokens in and out that whoever fetches it is told."""


RESPONSES = Wire(
    provider="openai",
    path="/v1/responses",
    request={"model": "gpt-4o", "input": "Dig for a while.", "background": True, "stream": True},
    events=[
        {
            "type": "response.created",
            "response": {"id": "resp_1", "model": "gpt-4o", "status": "queued", "usage": None},
        },
        {"type": "response.output_text.delta", "output_index": 0, "delta": "There was a"},
    ],
    answer={
        "id": "resp_1",
        "object": "response",
        "model": "gpt-4o",
        "status": "completed",
        "output": [],
        "usage": {"input_tokens": 1000, "output_tokens": 500, "total_tokens": 1500},
    },
    told=(1000, 500),
)
INTERACTIONS = Wire(
    provider="gemini",
    path="/v1beta/interactions",
    request={"model": "gemini-2.5-flash", "input": "Dig.", "background": True, "stream": True},
    events=[
        {
            "event_type": "interaction.created",
            "interaction": {"id": "v1_a", "model": "gemini-2.5-flash", "status": "in_progress"},
        },
        {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "There was"}},
    ],
    answer={
        "id": "v1_a",
        "object": "interaction",
        "model": "gemini-2.5-flash",
        "status": "completed",
        "steps": [],
        "usage": {"total_input_tokens": 1000, "total_output_tokens": 500, "total_tokens": 1500},
    },
    told=(1000, 500),
)
WIRES = pytest.mark.parametrize(
    "wire", [RESPONSES, INTERACTIONS], ids=["responses", "interactions"]
)


class Calls:
    """One answer, asked for in a stream that is cut, and fetched."""

    def __init__(self, traffic: Any, wire: Wire) -> None:
        self.traffic, self.wire = traffic, wire

    def ask(self) -> str:
        body = orjson.dumps(self.wire.request)
        given = {"target": self.wire.path, "provider": self.wire.provider}
        return str(self.traffic.open(request=body, **given))

    def cut(self, exchange_id: str) -> None:
        said = b"".join(b"data: %s\n\n" % orjson.dumps(event) for event in self.wire.events)
        self.traffic.close(exchange_id, said, outcome="client_disconnected", headers=STREAM)

    def fetch(self, **more: Any) -> str:
        target = f"{self.wire.path}/{self.wire.answer['id']}"
        given = {"target": target, "method": "GET", "provider": self.wire.provider, "request": b""}
        fetched = self.traffic.open(**given)
        self.traffic.close(fetched, orjson.dumps(self.wire.answer | more))
        return str(fetched)


@pytest.fixture
def calls(traffic: Any, wire: Wire) -> Calls:
    return Calls(traffic, wire)


def rows(query: Query) -> dict[str, tuple[Any, ...]]:
    columns = "usage_source, input_tokens, output_tokens, cost_usd, cost_status"
    found = query(f"SELECT CAST(exchange_id AS VARCHAR), {columns} FROM exchanges")
    return {exchange_id: tuple(values) for exchange_id, *values in found}


def held(query: Query, free: str, bears: str, wire: Wire) -> None:
    """One bears it, and the other cost nothing."""
    by_id = rows(query)
    assert by_id[free] == (None, None, None, Decimal(0), None)
    source, *tokens, cost, status = by_id[bears]
    assert (source, tuple(tokens), status) == ("provider", wire.told, "priced")
    assert cost > 0
    assert query("SELECT CAST(exchange_id AS VARCHAR) FROM billed_responses") == [(bears,)]


@WIRES
@pytest.mark.parametrize("batches", [1, 2])
def test_the_estimate_of_a_cut_stream_gives_way_to_what_a_fetch_is_told(
    calls: Calls, poster: Poster, query: Query, wire: Wire, batches: int
) -> None:
    made = calls.ask()
    calls.cut(made)
    if batches == 2:
        poster.post_once()
        assert rows(query)[made][0] == "estimated"
    fetched = calls.fetch()
    poster.post_once()
    held(query, made, fetched, wire)
    again = calls.fetch()
    poster.post_once()
    held(query, made, fetched, wire)
    assert rows(query)[again] == (None,) * 5


@WIRES
@pytest.mark.parametrize("batches", [1, 2])
def test_a_stream_that_is_cut_after_it_was_fetched_is_not_estimated(
    calls: Calls, poster: Poster, query: Query, wire: Wire, batches: int
) -> None:
    made = calls.ask()
    fetched = calls.fetch()
    if batches == 2:
        poster.post_once()
    calls.cut(made)
    poster.post_once()
    held(query, made, fetched, wire)


@WIRES
def test_a_stream_that_comes_whole_after_it_was_fetched_bears_it_itself(
    calls: Calls, poster: Poster, query: Query, wire: Wire, traffic: Any
) -> None:
    made = calls.ask()
    fetched = calls.fetch()
    poster.post_once()
    traffic.close(made, orjson.dumps(wire.answer))
    poster.post_once()
    held(query, fetched, made, wire)


@WIRES
def test_what_nobody_fetches_keeps_its_estimate(
    calls: Calls, poster: Poster, query: Query, data_dir: Path
) -> None:
    made = calls.ask()
    calls.cut(made)
    calls.fetch(status="in_progress", usage=None)
    poster.post_once()
    before = rows(query)
    assert before[made][0] == "estimated"
    assert reparse(data_dir / store.NAME, PriceBook()).changed == 0
    assert rows(query) == before


def test_what_is_only_queued_is_unpriced_until_it_is_fetched(
    traffic: Any, poster: Poster, query: Query, data_dir: Path
) -> None:
    calls = Calls(traffic, RESPONSES)
    made = calls.ask()
    traffic.close(made, orjson.dumps(RESPONSES.answer | {"status": "queued", "usage": None}))
    poster.post_once()
    assert rows(query)[made][-1] == "unpriced"
    fetched = calls.fetch()
    poster.post_once()
    held(query, made, fetched, RESPONSES)
    with store.read(data_dir / store.NAME) as con:
        total = spend(con, "feature", Selection()).row(-1, named=True)
    assert (total["without_usage"], total["not_fully_priced"]) == (0, 0)


def test_a_cancel_that_is_told_the_usage_is_a_fetch(
    traffic: Any, poster: Poster, query: Query
) -> None:
    calls = Calls(traffic, RESPONSES)
    made = calls.ask()
    calls.cut(made)
    cancel = traffic.open(target="/v1/responses/resp_1/cancel", request=b"")
    traffic.close(cancel, orjson.dumps(RESPONSES.answer | {"status": "cancelled"}))
    poster.post_once()
    held(query, made, cancel, RESPONSES)


def test_two_answers_of_one_id_that_were_made_are_two(
    traffic: Any, poster: Poster, query: Query
) -> None:
    for _ in range(2):  # as a server of one's own might name them
        made = traffic.open(target="/v1/responses", request=orjson.dumps({"model": "gpt-4o"}))
        traffic.close(made, orjson.dumps(RESPONSES.answer))
        poster.post_once()
    assert query("SELECT sum(input_tokens), count(cost_usd) FROM exchanges") == [(2000, 2)]


def test_a_write_that_fails_takes_nothing_back(
    traffic: Any, poster: Poster, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls(traffic, RESPONSES)
    made = calls.ask()
    calls.cut(made)
    poster.post_once()
    before = rows(query)
    fetched = calls.fetch()

    def full(*_: Any) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr("analytics.positions.save", full)
        with pytest.raises(OSError, match="no space"):
            poster.post_once()
    assert rows(query) == before
    poster.post_once()
    held(query, made, fetched, RESPONSES)


def test_sums_by_hour_stay_true_when_an_estimate_is_taken_back(
    traffic: Any, poster: Poster, query: Query, data_dir: Path
) -> None:
    calls = Calls(traffic, RESPONSES)
    made = calls.ask()
    calls.cut(made)
    traffic.exchange()
    poster.post_once()
    while poster.sum_up():
        continue
    estimated = "SELECT sum(exchanges) FROM hours WHERE usage_source = 'estimated'"
    assert query(estimated) == [(1,)]
    fetched = calls.fetch()
    poster.post_once()
    held(query, made, fetched, RESPONSES)
    assert query(estimated) == [(None,)]
    assert query("SELECT sum(cost_usd) FROM hours") == query("SELECT sum(cost_usd) FROM exchanges")
    with store.read(data_dir / store.NAME) as con:
        assert hours.summed_until(con) is not None
        assert hours.is_true(con)
        assert spend(con, "feature", Selection()).row(-1, named=True)["without_usage"] == 0


def posted(traffic: Any, poster: Poster, wire: Wire, *, fetch_first: bool = False) -> list[str]:
    calls = Calls(traffic, wire)
    if fetch_first:
        fetched, made = calls.fetch(), calls.ask()
    else:
        made, fetched = calls.ask(), calls.fetch()
    calls.cut(made)
    poster.post_once()
    return [made, fetched]


@WIRES
@pytest.mark.parametrize("fetch_first", [False, True])
@pytest.mark.parametrize("chunk_bytes", [1, 10**8])
def test_read_again_it_stays_as_it_was(
    traffic: Any,
    poster: Poster,
    query: Query,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    wire: Wire,
    fetch_first: bool,
    chunk_bytes: int,
) -> None:
    made, fetched = posted(traffic, poster, wire, fetch_first=fetch_first)
    monkeypatch.setattr(stored, "CHUNK_BYTES", chunk_bytes)
    for _ in range(2):
        assert reparse(data_dir / store.NAME, PriceBook()).changed == 0
        held(query, made, fetched, wire)


def as_before(path: Path, made: str, fetched: str, *, fetch_was_told: bool) -> None:
    """The store of a poster that knew of no estimates, or one whose reader saw no usage."""
    with store.write(path) as con:
        con.execute(
            "UPDATE exchanges SET usage_source = 'estimated', input_tokens = 7, output_tokens = 3, "
            "cost_usd = 0.5, input_cost_usd = 0.25, output_cost_usd = 0.25, "
            "cost_status = 'estimated' WHERE exchange_id = CAST(? AS UUID)",
            [made],
        )
        if not fetch_was_told:
            con.execute(
                "UPDATE exchanges SET usage_source = NULL, input_tokens = NULL, "
                "output_tokens = NULL, cost_usd = NULL, input_cost_usd = NULL, "
                "output_cost_usd = NULL, cost_status = NULL WHERE exchange_id = CAST(? AS UUID)",
                [fetched],
            )
            con.execute("UPDATE billed_responses SET exchange_id = CAST(? AS UUID)", [made])


@WIRES
@pytest.mark.parametrize("fetch_first", [False, True])
@pytest.mark.parametrize("chunk_bytes", [1, 10**8])
@pytest.mark.parametrize("fetch_was_told", [True, False])
def test_what_was_billed_twice_or_by_estimate_is_mended(
    traffic: Any,
    poster: Poster,
    query: Query,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    wire: Wire,
    fetch_first: bool,
    chunk_bytes: int,
    fetch_was_told: bool,
) -> None:
    made, fetched = posted(traffic, poster, wire, fetch_first=fetch_first)
    path = data_dir / store.NAME
    as_before(path, made, fetched, fetch_was_told=fetch_was_told)
    monkeypatch.setattr(stored, "CHUNK_BYTES", chunk_bytes)
    told = reparse(path, PriceBook(), dry_run=True)
    done = reparse(path, PriceBook())
    held(query, made, fetched, wire)
    assert done.changed == (1 if fetch_was_told else 2)
    assert told.changes.equals(done.changes)
    counts = {row["column"]: row for row in done.changes.to_dicts()}
    assert counts["cost_usd"]["exchanges"] == done.changed
    assert counts["cost_usd"]["filled"] == done.changed - 1
    assert reparse(path, PriceBook()).changed == 0


def test_an_estimate_without_contents_gives_way_too(
    traffic: Any, poster: Poster, query: Query, data_dir: Path
) -> None:
    made, fetched = posted(traffic, poster, RESPONSES)
    path = data_dir / store.NAME
    as_before(path, made, fetched, fetch_was_told=False)
    with store.write(path) as con:
        con.execute("DELETE FROM contents WHERE exchange_id = CAST(? AS UUID)", [made])
    assert reparse(path, PriceBook()).changed == 2
    held(query, made, fetched, RESPONSES)


def test_what_is_forgotten_is_not_estimated_anew(
    traffic: Any, poster: Poster, query: Query, data_dir: Path
) -> None:
    made, fetched = posted(traffic, poster, RESPONSES)
    path = data_dir / store.NAME
    with store.write(path) as con:
        con.execute("DELETE FROM billed_responses")
        for table in ("exchanges", "contents"):
            con.execute(f"UPDATE {table} SET started_at = started_at - INTERVAL 20 YEAR")
    assert reparse(path, PriceBook()).changed == 0
    assert rows(query)[made][:2] == (None, None)
    assert rows(query)[fetched][0] == "provider"


MADE, MADE_TOLD = Bearer("a", told=False, fetched=False), Bearer("b", told=True, fetched=False)
FETCHED = Bearer("c", told=True, fetched=True)


@pytest.mark.parametrize(
    ("mine", "before", "way", "over"),
    [
        (FETCHED, None, False, False),
        (FETCHED, FETCHED, True, False),
        (FETCHED, MADE_TOLD, True, False),
        (FETCHED, MADE, False, True),
        (MADE, FETCHED, True, False),
        (MADE_TOLD, FETCHED, False, True),
        (MADE_TOLD, MADE, False, False),
        (MADE, MADE_TOLD, False, False),
    ],
)
def test_who_bears_it(mine: Bearer, before: Bearer | None, way: bool, over: bool) -> None:
    assert (gives_way(mine, before), takes_over(mine, before)) == (way, over)
