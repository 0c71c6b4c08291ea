from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from analytics.progress import Counter
from proxy.config import Price, Settings

Function = Callable[..., Any]
UNPRICED = {
    "request_model": "our-own-model",
    "operation": "chat",
    "cost_usd": None,
    "cost_status": "unpriced",
}


@pytest.fixture
def priced(settings: Settings) -> Settings:
    price = Price(model="our-own-*", input_usd_per_mtok=Decimal(1), output_usd_per_mtok=Decimal(10))
    return settings.model_copy(update={"prices": (price,)})


def costs(run: Function) -> list[Any]:
    out = run("sql", "SELECT cost_usd FROM exchanges ORDER BY started_at", "--format", "json").out
    return [row["cost_usd"] for row in json.loads(out, parse_float=Decimal)]


def test_prices_of_ones_own_reach_what_is_stored(
    post: Function, run: Function, priced: Settings
) -> None:
    post(UNPRICED, UNPRICED)
    ran = run("reprice", settings=priced)
    assert "The cost of 2 exchanges changed." in ran.out
    assert "unpriced" in ran.out
    assert "$0.003" in ran.out
    assert costs(run) == [Decimal("0.0015")] * 2
    assert "Nothing changed." in run("reprice", settings=priced).out


def test_a_dry_run_changes_nothing(post: Function, run: Function, priced: Settings) -> None:
    post(UNPRICED)
    assert "would change" in run("reprice", "--dry-run", settings=priced).out
    assert costs(run) == [None]


def test_a_window_and_a_model_narrow_it(post: Function, run: Function, priced: Settings) -> None:
    now = datetime.now(UTC)
    post({**UNPRICED, "started_at": now - timedelta(days=9)}, UNPRICED)
    assert "Nothing" in run("reprice", "--model", "gpt-4o", settings=priced).out
    assert "1 exchange " in run("reprice", "--since", "7d", settings=priced).out
    assert costs(run)[0] is None
    day = f"{now - timedelta(days=9):%Y-%m-%d}"
    assert "1 exchange " in run("reprice", "--since", day, "--until", day, settings=priced).out


def test_json_has_the_sums(post: Function, run: Function, priced: Settings) -> None:
    post(UNPRICED)
    (row,) = json.loads(run("reprice", "--format", "json", settings=priced).out)
    assert (row["old_cost_usd"], row["new_cost_usd"]) == (None, 0.0015)


def test_bad_input_and_a_missing_store_are_told(run: Function) -> None:
    assert run("reprice", "--since", "soon").code == 2
    ran = run("reprice")
    assert ran.code == 1
    assert "does not exist yet" in ran.err


def test_progress_is_for_those_who_watch() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    seen, unseen = Terminal(), io.StringIO()
    for out in (seen, unseen):
        counter = Counter(out)
        counter.show(20_000, 50_000)
        counter.end()
    assert seen.getvalue() == "\r20,000 of 50,000 exchanges looked at (40%)\n"
    assert unseen.getvalue() == ""
