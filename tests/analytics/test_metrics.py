from __future__ import annotations

import argparse
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from prometheus_client.parser import text_string_to_metric_families

from analytics import metrics, rows, schema, store
from analytics.commands import export
from analytics.found import Records
from analytics.metrics import Metrics
from analytics.poster import Poster
from analytics.status import Status
from proxy.config import Settings
from proxy.exchange import Exchange, Loss
from proxy.own import OwnPages, Tally
from tests.analytics.conftest import STARTED, Traffic

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
ANY = {"provider": "openai", "model": "gpt-4o", "feature": "chat"}


def samples(text: bytes) -> Samples:
    """All samples, each name and set of labels once, as Prometheus would read them."""
    found: Samples = {}
    names: list[str] = []
    for family in text_string_to_metric_families(text.decode()):
        names.append(family.name)
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    assert len(names) == len(set(names))
    return found


def value(text: bytes, name: str, **labels: str) -> float:
    return samples(text)[f"meterline_{name}", tuple(sorted(labels.items()))]


def exchange(**more: Any) -> Exchange:
    given: dict[str, Any] = {
        "exchange_id": str(uuid.uuid4()),
        "started_at": STARTED,
        "provider": "openai",
        "request_model": "gpt-4o",
        "feature": "chat",
        "outcome": "completed",
        "input_tokens": 100,
        "output_tokens": 10,
        "cache_read_tokens": 40,
        "cost_usd": Decimal("0.25"),
        "cost_status": "priced",
        "duration_seconds": 0.3,
    }
    return Exchange(**(given | more))


VARIETY = (
    exchange(),
    exchange(outcome="timed_out", cost_usd=None, cost_status="unpriced", duration_seconds=200.0),
    exchange(response_model="gpt-4o-mini", time_to_first_chunk_seconds=0.1, feature=None),
    exchange(provider=None, request_model=None, input_tokens=None, duration_seconds=None),
)


@pytest.fixture
def con() -> Any:
    with duckdb.connect() as made:
        for name in schema.table_names():
            made.execute(schema.create_table(name))
        yield made


def insert(con: Any, exchanges: tuple[Exchange, ...]) -> None:
    rows.insert(con, rows.rows_of([Records(exchange=each) for each in exchanges]))


def test_sums_by_provider_model_and_feature() -> None:
    made = Metrics()
    made.add(VARIETY, [Loss(noticed_at=STARTED, reason="torn tail", count=3)])
    text = made.exposition()
    assert value(text, "posted_exchanges_total", **ANY, outcome="completed") == 1
    assert value(text, "posted_exchanges_total", **ANY, outcome="timed_out") == 1
    assert value(text, "cost_usd_total", **ANY) == 0.25
    assert value(text, "tokens_total", **ANY, type="cache_read") == 80
    assert value(text, "not_fully_priced_exchanges_total", **ANY) == 1
    assert value(text, "duration_seconds_bucket", **ANY, le="0.25") == 0
    assert value(text, "duration_seconds_bucket", **ANY, le="0.5") == 1
    assert value(text, "duration_seconds_bucket", **ANY, le="+Inf") == 2
    assert value(text, "duration_seconds_sum", **ANY) == pytest.approx(200.3)
    assert value(text, "posted_losses_total", reason="torn tail") == 3


def test_sums_from_the_store_are_those_of_its_rows_one_by_one(con: Any) -> None:
    insert(con, VARIETY)
    grown = Metrics()
    grown.add(VARIETY)
    begun = samples(Metrics.of_store(con).exposition())
    expected = samples(grown.exposition())
    moment = ("meterline_written_timestamp_seconds", ())
    assert begun.pop(moment) > 0
    assert expected.pop(moment) > 0
    assert begun == pytest.approx(expected)


def test_users_and_sessions_are_in_no_label(con: Any) -> None:
    insert(con, (exchange(user_id="ana-b", session_id="s-123", key_id="k-9"),))
    text = Metrics.of_store(con).exposition()
    assert not [word for word in (b"ana-b", b"s-123", b"k-9") if word in text]


def test_labels_that_rotate_end_in_other(con: Any) -> None:
    many = tuple(exchange(feature=f"f{n}") for n in range(metrics.MAX_SERIES + 50))
    common = tuple(exchange(feature="common") for _ in range(3))
    insert(con, (*many, *common))
    for made in (Metrics.of_store(con), Metrics()):
        made.add([*common, *many])
        found = samples(made.exposition())
        costs = [key for key in found if key[0] == "meterline_cost_usd_total"]
        assert len(costs) <= metrics.MAX_SERIES + 1
        assert any(dict(labels)["feature"] == "common" for _, labels in costs)
        other = dict.fromkeys(ANY, metrics.OTHER)
        assert found["meterline_cost_usd_total", tuple(sorted(other.items()))] > 10


@pytest.mark.parametrize("hostile", ['quote " and \\', "line\nbreak", "x" * 5000, "ünï 👍"])
def test_hostile_labels_stay_labels(hostile: str) -> None:
    made = Metrics()
    made.add([exchange(feature=hostile)])
    found = [dict(labels) for name, labels in samples(made.exposition()) if "cost" in name]
    assert [labels["feature"] for labels in found] == [hostile[:80]]


def test_state_of_the_poster_is_told() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    status = Status(last_posted_at=at, backlog_bytes=7, oldest_unposted_at=at, waiting_for="disk")
    text = Metrics().exposition(status)
    assert value(text, "backlog_bytes") == 7
    assert value(text, "last_posted_timestamp_seconds") == at.timestamp()
    assert value(text, "oldest_unposted_timestamp_seconds") == at.timestamp()
    assert value(text, "poster_waiting") == 1
    unknown = samples(Metrics().exposition(replace(status, backlog_bytes=None)))
    assert ("meterline_backlog_bytes", ()) not in unknown


def test_poster_writes_the_file_and_the_proxy_appends_it(
    data_dir: Path, traffic: Traffic, poster: Poster
) -> None:
    traffic.exchange()
    poster.post_once()
    poster._exposition.write(Status(), now=True)
    path = data_dir / metrics.NAME
    assert path.stat().st_mode & 0o777 == 0o600
    tally = Tally()
    tally.exchanges["openai", "completed"] += 1
    tally.losses["journal"] += 1
    status, text, _ = OwnPages(tally, path).answer("/-/metrics")
    assert status == 200
    labels = {"provider": "openai", "model": "gpt-4o-2024-08-06", "feature": ""}
    assert value(text, "tokens_total", **labels, type="input") == 1000
    assert value(text, "exchanges_total", provider="openai", outcome="completed") == 1


def test_without_a_file_the_proxy_tells_its_own() -> None:
    text = OwnPages(Tally(), Path("/nonexistent/metrics.prom")).answer("/-/metrics")[1]
    assert value(text, "exchanges_in_flight") == 0


def test_sums_go_on_after_a_restart(data_dir: Path, traffic: Traffic) -> None:
    for expected in (1, 2, 3):
        traffic.exchange()
        poster = Poster(data_dir)
        poster.post_once()
        poster.close()
        text = (data_dir / metrics.NAME).read_bytes()
        labels = {"provider": "openai", "model": "gpt-4o-2024-08-06", "feature": ""}
        assert value(text, "posted_exchanges_total", **labels, outcome="completed") == expected


def test_a_folder_that_takes_no_file_does_not_stop_posting(
    data_dir: Path, traffic: Traffic, poster: Poster
) -> None:
    (data_dir / f"{metrics.NAME}.new").mkdir()
    traffic.exchange()
    assert poster.post_once().rows == 1
    poster._exposition.write(Status(), now=True)
    assert not (data_dir / metrics.NAME).exists()


def test_command_prints_or_writes_them(
    data_dir: Path,
    traffic: Traffic,
    poster: Poster,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    traffic.exchange()
    poster.post_once()
    parser = argparse.ArgumentParser()
    export.add_arguments(parser)
    settings = Settings(data_dir=data_dir)
    assert export.run(parser.parse_args(["prometheus"]), settings) == 0
    printed = capsys.readouterr().out.encode()
    target = tmp_path / "meterline.prom"
    assert export.run(parser.parse_args(["prometheus", "--out", str(target)]), settings) == 0
    moment = ("meterline_written_timestamp_seconds", ())
    written = samples(target.read_bytes())
    assert {**samples(printed), moment: 0} == {**written, moment: 0}
    assert store.NAME not in printed.decode()
