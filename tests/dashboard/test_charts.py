from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import orjson
import polars as pl

from dashboard import charts, shapes
from dashboard.colours import BAD, GOOD, REST, colours

STARTS = [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 2)]
KNOWN = colours(["chat"])


def course() -> pl.DataFrame:
    rows = [
        (start, part, name, Decimal(amount))
        for part, name, amounts in (
            ("group", "chat", ("3", "1")),
            ("group", None, ("1", "0")),
            ("rest", None, ("0.5", "0.5")),
            ("total", None, ("4.5", "1.5")),
        )
        for start, amount in zip(STARTS, amounts, strict=True)
    ]
    return pl.DataFrame(rows, schema=["start", "part", "name", "cost_usd"], orient="row")


def test_stack_has_a_series_for_each_group_and_none_for_the_total() -> None:
    option = charts.stacked(course(), "cost_usd", KNOWN, bucket="day")
    assert [each["name"] for each in option["series"]] == ["chat", "not labelled", "others"]
    assert [each["data"] for each in option["series"]] == [[3.0, 1.0], [1.0, 0.0], [0.5, 0.5]]
    assert option["series"][2]["itemStyle"]["color"] == REST
    assert option["xAxis"]["data"] == ["01 Mar", "02 Mar"]


def test_options_are_plain_json() -> None:
    """Streamlit sends them as such: no decimals, no moments."""
    stack = charts.stacked(course(), "cost_usd", KNOWN, bucket="day")
    assert orjson.loads(orjson.dumps(stack)) == stack


def test_bars_keep_their_order_and_show_their_figures() -> None:
    option = charts.bars(["b", "a"], [2.0, None], ["$2.00", "-"], ["#111111", "#222222"])
    data = option["series"][0]["data"]
    assert option["yAxis"]["data"] == ["b", "a"]
    assert [each["label"]["formatter"] for each in data] == ["$2.00", "-"]


def test_names_that_shortening_makes_equal_stay_apart() -> None:
    long = "x" * 60
    option = charts.bars([long + "1", long + "2"], [1.0, 1.0], ["", ""], ["#111111"] * 2)
    assert len(set(option["yAxis"]["data"])) == 2


def test_waterfall_leads_from_one_sum_to_the_other() -> None:
    option = shapes.waterfall(
        10.0, [("Traffic", 4.0), ("Cache", -2.0)], 12.0, titles=("Before", "Now")
    )
    starts, amounts = (series["data"] for series in option["series"])
    assert option["yAxis"]["data"] == ["Before", "Traffic", "Cache", "Now"]
    assert starts == [0.0, 10.0, 12.0, 0.0]
    assert [each["value"] for each in amounts] == [10.0, 4.0, 2.0, 12.0]
    assert [each["label"]["formatter"] for each in amounts] == [
        "$10.00",
        "+$4.00",
        "-$2.00",
        "$12.00",
    ]
    assert [each["itemStyle"]["color"] for each in amounts[1:3]] == [BAD, GOOD]


def test_spread_adds_up_to_the_percentiles() -> None:
    option = shapes.spread(["m"], [(1.0, 3.0, 4.0)], ["#111111"])
    assert [series["data"][0]["value"] for series in option["series"]] == [1.0, 2.0, 1.0]


def test_template_signs_in_figures_stand_for_themselves() -> None:
    option = charts.bars(["a"], [1.0], ["{b}"], ["#111111"])
    assert "{" not in option["series"][0]["data"][0]["label"]["formatter"]


def test_small_areas_are_whole_and_the_smallest_have_no_name() -> None:
    rows = [
        ("group", "chat", "group", "m", Decimal(60)),
        ("group", "chat", "group", "n", Decimal(35)),
        ("group", "search", "group", "m", Decimal("2")),
        ("group", "search", "group", "n", Decimal("1")),
        ("group", "extract", "group", "m", Decimal("1")),
        ("group", "free", "group", "m", Decimal("0")),
    ]
    names = ["part", "name", "column_part", "column_name", "cost_usd"]
    found = pl.DataFrame(rows, schema=names, orient="row")
    large, small, least = shapes.treemap(found, KNOWN)["series"][0]["data"]
    assert [child["value"] for child in large["children"]] == [60.0, 35.0]
    assert (small["value"], small["label"]["show"]) == (3.0, True)
    assert (least["value"], least["label"]["show"]) == (1.0, False)


def test_steps_have_less_room_for_names_on_a_telephone() -> None:
    row = {"seconds": 1.0, "offset_seconds": 0.0, "kind": "tool", "name": "look", "number": 1}
    found = pl.DataFrame([{**row, "depth": 2, "cost_usd": None, "outcome": None, "retry_of": None}])
    option = shapes.steps(found, KNOWN)
    (narrow,) = option["media"]
    assert narrow["option"]["grid"]["left"] < option["grid"]["left"]
    assert option["yAxis"]["data"][0].endswith("look")


def test_bars_keep_room_beside_long_names() -> None:
    option = charts.bars(["a" * 30], [1.0], ["$1.00"], ["#111111"])
    (narrow,) = option["media"]
    assert narrow["option"]["yAxis"]["axisLabel"]["width"] < narrow["query"]["maxWidth"] / 2
