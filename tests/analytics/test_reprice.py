from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from analytics import store
from analytics.poster import Poster
from analytics.prices import PriceBook, PriceOverride
from analytics.reprice import reprice

Query = Callable[[str], list[tuple[Any, ...]]]
OWN = PriceBook(
    [PriceOverride(model="house-*", input_usd_per_mtok=Decimal(1), output_usd_per_mtok=Decimal(10))]
)
STARTED = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def path(traffic: Any, data_dir: Path, poster: Poster) -> Path:
    """Of a model without price two exchanges, one with, and one with a reported cost."""
    for model in ("house-1", "house-1", "gpt-4o"):
        exchange = traffic.open(request=traffic.request(model=model))
        traffic.close(exchange, traffic.response(model=model))
    exchange = traffic.open(provider="openrouter", request=traffic.request(model="house-2"))
    usage = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10, "cost": 0.25}
    traffic.close(exchange, traffic.response(model="house-2", usage=usage))
    poster.post_once()
    return data_dir / store.NAME


COSTS = "SELECT request_model, cost_status, cost_usd, price_ref FROM exchanges ORDER BY ALL"


def test_what_had_no_price_gets_one_and_the_rest_stays(path: Path, query: Query) -> None:
    before = {row[0]: row for row in query(COSTS)}
    assert before["house-1"][1:3] == ("unpriced", None)
    summary = reprice(path, OWN)
    assert summary.to_dicts() == [
        {
            "model": "house-1",
            "old_status": "unpriced",
            "new_status": "priced",
            "exchanges": 2,
            "old_cost_usd": None,
            "new_cost_usd": Decimal("0.004"),
        }
    ]
    after = {row[0]: row for row in query(COSTS)}
    assert after["house-1"][1:3] == ("priced", Decimal("0.002"))
    assert after["gpt-4o"] == before["gpt-4o"]
    assert after["house-2"] == before["house-2"]
    assert after["house-2"][1:3] == ("provider_reported", Decimal("0.25"))


def test_doing_it_twice_changes_nothing(path: Path, query: Query) -> None:
    reprice(path, OWN)
    before = query(COSTS)
    assert reprice(path, OWN).is_empty()
    assert query(COSTS) == before


def test_with_the_same_prices_nothing_changes(path: Path) -> None:
    assert reprice(path, PriceBook()).is_empty()


def test_a_price_that_is_gone_takes_nothing_away(path: Path, query: Query) -> None:
    reprice(path, OWN)
    before = query(COSTS)
    assert reprice(path, PriceBook()).is_empty()
    assert query(COSTS) == before


def test_a_dry_run_tells_and_changes_nothing(path: Path, query: Query) -> None:
    before = query(COSTS)
    assert reprice(path, OWN, dry_run=True)["exchanges"].to_list() == [2]
    assert query(COSTS) == before


@pytest.mark.parametrize(
    ("limits", "changed"),
    [
        ({"since": STARTED}, 2),
        ({"since": STARTED + timedelta(seconds=1)}, 0),
        ({"until": STARTED}, 0),
        ({"until": STARTED + timedelta(seconds=1)}, 2),
        ({"model": "house-1"}, 2),
        ({"model": "gpt-4o"}, 0),
    ],
)
def test_only_what_was_asked_for_changes(path: Path, limits: dict[str, Any], changed: int) -> None:
    assert reprice(path, OWN, **limits)["exchanges"].sum() == changed


def test_finer_classes_are_priced_from_their_detail(
    traffic: Any, poster: Poster, data_dir: Path, query: Query
) -> None:
    """A row priced once and priced again from its columns has the same cost."""
    details = {"cached_tokens": 200, "audio_tokens": 100}
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 500,
        "total_tokens": 1500,
        "prompt_tokens_details": details,
        "completion_tokens_details": {"audio_tokens": 300, "reasoning_tokens": 0},
    }
    traffic.exchange(response=traffic.response(model="gpt-4o-audio-preview", usage=usage))
    poster.post_once()
    assert reprice(data_dir / store.NAME, PriceBook()).is_empty()
    assert orjson.loads(query("SELECT usage_raw FROM exchanges")[0][0]) == usage


def test_progress_is_told(path: Path) -> None:
    told: list[tuple[int, int]] = []
    reprice(path, OWN, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (4, 4)


def test_without_a_store_there_is_nothing_to_reprice(tmp_path: Path) -> None:
    with pytest.raises(store.StoreMissing):
        reprice(tmp_path / store.NAME, OWN)
    assert list(tmp_path.iterdir()) == []
