from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

Function = Callable[..., Any]


def test_features_come_by_cost_with_share_and_total(post: Function, run: Function) -> None:
    post(
        {"feature": "chat", "cost_usd": Decimal("3")},
        {"feature": "search", "cost_usd": Decimal("1")},
        {"feature": None, "cost_usd": Decimal("0.0001"), "outcome": "provider_error"},
    )
    shown = run("top").out.splitlines()
    assert shown[0].split()[:5] == ["feature", "exchanges", "errors", "input", "output"]
    assert [line.split()[0] for line in shown[2:5]] == ["chat", "search", "(none)"]
    assert "$3.00" in shown[2]
    assert "75.0%" in shown[2]
    assert shown[6].split()[:3] == ["total", "3", "1"]
    assert "$4.00" in shown[6]


def test_costs_never_hide_what_has_no_price(post: Function, run: Function) -> None:
    unpriced = {"cost_usd": None, "cost_status": "unpriced"}
    post({}, unpriced, {**unpriced, "usage_source": None}, {"cost_status": "estimated"})
    shown = run("top").out
    assert "2 of 4 exchanges have no price or only in part, so the true cost is higher" in shown
    assert "1 ended without usage" in shown
    assert "1 cost rests on estimated tokens" in shown


def test_what_is_beyond_the_limit_is_everything_else(post: Function, run: Function) -> None:
    post(*({"user_id": f"u{n}", "cost_usd": Decimal(n + 1)} for n in range(5)))
    shown = run("top", "--by", "user", "--limit", "2").out.splitlines()
    assert shown[2].startswith("u4")
    assert shown[4].startswith("everything else (3)  ")
    assert "$6.00" in shown[4]


def test_only_the_window_counts(post: Function, run: Function) -> None:
    old = datetime.now(UTC) - timedelta(days=8)
    post({"feature": "new"}, {"feature": "old", "started_at": old})
    assert "old" not in run("top").out
    assert "old" in run("top", "--last", "30d").out
    assert "old" in run("top", "--last", f"{old:%Y-%m-%d}..{old:%Y-%m-%d}").out


def test_json_and_csv_have_raw_values(post: Function, run: Function) -> None:
    post({"feature": None, "cost_usd": Decimal("0.000000000123")})
    group, total = json.loads(run("top", "--format", "json").out, parse_float=Decimal)
    assert group["name"] is None
    assert group["cost_usd"] == Decimal("0.000000000123")
    assert (group["part"], total["part"]) == ("group", "total")
    rows = list(csv.DictReader(io.StringIO(run("top", "--format", "csv").out)))
    assert rows[0]["cost_usd"] == "0.000000000123"


def test_a_label_cannot_steer_the_terminal(post: Function, run: Function) -> None:
    post({"feature": "\x1b[31mred\u202e"})
    assert "\\x1b[31mred\\u202e" in run("top").out
    assert "\x1b" not in run("top", "--format", "json").out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--by", "team"), "choose one of feature, model"),
        (("--last", "soon"), "Write one like: 7d"),
        (("--limit", "0"), "give at least 1"),
    ],
)
def test_bad_input_is_told_with_what_is_right(
    run: Function, arguments: tuple[str, ...], told: str
) -> None:
    ran = run("top", *arguments)
    assert ran.code == 2
    assert told in ran.err


def test_without_a_store_the_mend_is_told(run: Function) -> None:
    ran = run("top")
    assert ran.code == 1
    assert "meterline up" in ran.err


def test_an_empty_window_says_so(post: Function, run: Function) -> None:
    post({"started_at": datetime.now(UTC) - timedelta(days=8)})
    ran = run("top", "--last", "1h")
    assert ran.code == 0
    assert "No exchange is in it" in ran.out


def test_a_held_store_names_the_process_that_holds_it(
    post: Function, run: Function, held: Function
) -> None:
    post({})
    with held() as process_id:
        ran = run("top")
    assert ran.code == 1
    assert str(process_id) in ran.err
    assert run("top").code == 0
