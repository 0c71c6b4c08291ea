from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from analytics import store, stored
from analytics.poster import Poster
from analytics.prices import PriceBook
from analytics.reparse import DERIVED, reparse
from analytics.stored import Filter
from proxy.dialects import PARSER_VERSION

Query = Callable[[str], list[tuple[Any, ...]]]
STARTED = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVERYTHING = "SELECT * FROM exchanges ORDER BY exchange_id"
BACKGROUND = {
    "id": "resp-1",
    "object": "response",
    "model": "gpt-4o",
    "status": "completed",
    "output": [],
    "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
}


@pytest.fixture
def path(traffic: Any, data_dir: Path, poster: Poster) -> Path:
    """A store with an exchange of every kind that is read in a way of its own."""
    traffic.exchange()
    traffic.exchange(response=b'{"error": {"type": "overloaded", "message": "later"}}', status=529)
    traffic.exchange(response=b'{"error": {"type": "odd", "message": "in a 200"}}')
    traffic.exchange(outcome="timed_out", error_type="read_timeout", status=None, response=b"")
    half = b'data: {"model": "gpt-4o", "choices": [{"index": 0, "delta": {"content": "Half a'
    traffic.exchange(outcome="client_disconnected", response=half)
    streamed = traffic.open(request=traffic.request(stream=True, user="ana", metadata={"a": "b"}))
    traffic.close(streamed, half + b' word"}}]}\n\n')
    labelled = {"feature": "chat", "tags.team": "one", "tags.a": "own"}
    traffic.close(
        traffic.open(request=traffic.request(user="ana", metadata={"a": "b"}), labels=labelled)
    )
    traffic.close(traffic.open(), request_gap=40, response_gap=60)
    traffic.exchange(content="none", response=b"")
    for method, target in (("POST", "/v1/responses"), ("GET", "/v1/responses/resp-1")):
        exchange = traffic.open(method=method, target=target)
        traffic.close(exchange, orjson.dumps(BACKGROUND))
    traffic.open()
    traffic.writer.close()
    poster.post_once()
    return data_dir / store.NAME


def corrupt(path: Path, where: str = "true", columns: tuple[str, ...] = DERIVED) -> None:
    """What a body says is forgotten; labels are no body's alone, and outcome tells two apart."""
    kept = ("outcome", "error_type", "error_message", "feature", "user_id", "tags", "parse_error")
    nulls = ", ".join(f"{name} = NULL" for name in columns if name not in kept)
    with store.write(path) as con:
        con.execute(
            f"UPDATE exchanges SET {nulls}, parser_version = 0 WHERE ({where}) AND exchange_id IN "
            "(SELECT exchange_id FROM contents WHERE target IS NOT NULL)"
        )


def test_what_was_forgotten_is_as_when_it_was_posted(path: Path, query: Query) -> None:
    before = query(EVERYTHING)
    corrupt(path)
    assert query(EVERYTHING) != before
    done = reparse(path, PriceBook())
    assert query(EVERYTHING) == before
    assert (done.read, done.failed, done.without_contents) == (11, 0, 1)
    assert done.changed == 11


def test_wrong_outcomes_and_errors_are_corrected(path: Path, query: Query) -> None:
    before = query(EVERYTHING)
    with store.write(path) as con:
        con.execute(
            "UPDATE exchanges SET outcome = 'completed', error_type = NULL, error_message = 'x', "
            "parse_error = 'x' WHERE outcome = 'provider_error'"
        )
        con.execute(
            "UPDATE exchanges SET outcome = 'provider_error', error_type = 'x', tool_names = ['x'] "
            "WHERE outcome = 'completed' AND usage_source = 'provider'"
        )
    reparse(path, PriceBook())
    assert query(EVERYTHING) == before


def test_without_a_change_of_the_code_nothing_changes(path: Path) -> None:
    done = reparse(path, PriceBook())
    assert (done.read, done.changed) == (11, 0)
    assert done.changes.is_empty()


def test_everything_read_bears_the_version_of_its_reader(path: Path, query: Query) -> None:
    with store.write(path) as con:
        con.execute("UPDATE exchanges SET parser_version = 0")
    assert reparse(path, PriceBook()).changed == 0
    versions = "SELECT parser_version, count(*) FROM exchanges GROUP BY ALL ORDER BY ALL"
    assert query(versions) == [(0, 1), (PARSER_VERSION, 11)]


def test_small_chunks_give_the_same(
    path: Path, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = query(EVERYTHING)
    corrupt(path)
    monkeypatch.setattr(stored, "CHUNK_BYTES", 400)
    told: list[tuple[int, int]] = []
    reparse(path, PriceBook(), progress=lambda done, total: told.append((done, total)))
    assert len(told) > 4
    assert told[-1] == (11, 11)
    assert query(EVERYTHING) == before


def test_the_summary_counts_by_model_and_column(path: Path) -> None:
    corrupt(path, "request_model = 'gpt-4o'", ("input_tokens", "finish_reasons"))
    changes = reparse(path, PriceBook()).changes
    assert {"model": "gpt-4o-2024-08-06", "column": "finish_reasons"} | {
        "exchanges": 2,
        "filled": 2,
        "emptied": 0,
    } in changes.to_dicts()
    assert set(changes["column"]) == {"input_tokens", "finish_reasons"}


def test_a_dry_run_tells_and_changes_nothing(path: Path, query: Query) -> None:
    corrupt(path)
    before = query(EVERYTHING)
    done = reparse(path, PriceBook(), dry_run=True)
    assert done.changed == 11
    assert not done.changes.is_empty()
    assert query(EVERYTHING) == before


@pytest.mark.parametrize(
    ("which", "read"),
    [
        (Filter(since=STARTED), 11),
        (Filter(since=STARTED + timedelta(seconds=1)), 0),
        (Filter(until=STARTED), 0),
        (Filter(provider="openai"), 11),
        (Filter(provider="anthropic"), 0),
        (Filter(model="gpt-4o-2024-08-06"), 2),
        (Filter(model="no-such-model"), 0),
    ],
)
def test_only_what_was_asked_for_is_read(path: Path, which: Filter, read: int) -> None:
    assert reparse(path, PriceBook(), which).read == read


def test_an_answer_read_at_last_is_billed_once(path: Path, query: Query) -> None:
    """The reader of the time saw no usage, so nobody was billed; today's does, in both."""
    with store.write(path) as con:
        con.execute("DELETE FROM billed_responses")
        con.execute("UPDATE exchanges SET usage_source = NULL, input_tokens = NULL")
    reparse(path, PriceBook())
    billed = "SELECT method FROM exchanges WHERE dialect = 'openai_responses' AND input_tokens > 0"
    assert query(billed) == [("POST",)]
    assert len(query("FROM billed_responses")) == 1
    assert reparse(path, PriceBook()).changed == 0


def test_a_fetch_whose_bill_is_forgotten_stays_without_usage(path: Path, query: Query) -> None:
    with store.write(path) as con:
        con.execute("DELETE FROM billed_responses")
        for table in ("exchanges", "contents"):
            con.execute(f"UPDATE {table} SET started_at = started_at - INTERVAL 20 YEAR")
    fetched = "SELECT input_tokens FROM exchanges WHERE method = 'GET'"
    with store.write(path) as con:
        con.execute("DELETE FROM exchanges WHERE method = 'POST' AND path = '/v1/responses'")
    reparse(path, PriceBook())
    assert query(fetched) == [(None,)]


def test_what_cannot_be_read_stays_and_is_counted(path: Path, query: Query) -> None:
    class Broken(PriceBook):
        def cost(self, **_: Any) -> Any:
            raise RuntimeError("no prices today")

    before = query(EVERYTHING)
    assert reparse(path, Broken()).failed > 0
    assert query(EVERYTHING) == before


def test_an_error_midway_changes_nothing(path: Path, query: Query) -> None:
    corrupt(path)
    before = query(EVERYTHING)

    def interrupted(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reparse(path, PriceBook(), progress=interrupted)
    assert query(EVERYTHING) == before


def test_without_a_store_there_is_nothing_to_reparse(tmp_path: Path) -> None:
    with pytest.raises(store.StoreMissing):
        reparse(tmp_path / store.NAME, PriceBook())
