from __future__ import annotations

import csv
import io
import json
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.tables import (
    Column,
    Table,
    as_json,
    cell,
    columns_of,
    csv_lines,
    json_line,
    lines,
    printable,
    seconds,
    shortened,
    usd,
    write,
)

SPEND = Table(
    columns=[
        Column(name="part", shown=False),
        Column(name="feature", kind="text"),
        Column(name="exchanges", kind="count"),
        Column(name="cost_usd", kind="usd", heading="cost"),
        Column(name="share", kind="share"),
    ],
    rows=[
        ("group", "chat", 12345, Decimal("12.340000000000"), 0.75),
        ("group", "search", 7, Decimal("0.000123000000"), None),
        ("group", "draft", 1, None, None),
    ],
    footer=[("total", "total", 12353, Decimal("12.340123"), 1.0)],
    notes=["A note."],
)


def test_numbers_are_aligned_right_and_unknown_is_a_dash() -> None:
    assert list(lines(SPEND)) == [
        "feature  exchanges       cost   share",
        "-------  ---------  ---------  ------",
        "chat        12,345     $12.34   75.0%",
        "search           7  $0.000123       -",
        "draft            1          -       -",
        "-------  ---------  ---------  ------",
        "total       12,353     $12.34  100.0%",
        "",
        "A note.",
    ]


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "$0.00"),
        ("1234567.891", "$1,234,567.89"),
        ("12.34", "$12.34"),
        ("0.5", "$0.50"),
        ("0.0456", "$0.0456"),
        ("0.00012345", "$0.000123"),
        ("0.000000000001", "$0.000000000001"),
        ("0.99999", "$1.00"),
        ("-0.02", "-$0.02"),
    ],
)
def test_small_amounts_keep_the_digits_that_tell_something(amount: str, text: str) -> None:
    assert usd(Decimal(amount)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0004, "0 ms"),
        (0.31, "310 ms"),
        (0.9999, "1.00 s"),
        (1.84, "1.84 s"),
        (12.34, "12.3 s"),
        (61.0, "1m 01s"),
        (119.7, "2m 00s"),
        (7260.0, "2h 01m"),
    ],
)
def test_durations_have_the_unit_that_suits_them(value: float, text: str) -> None:
    assert seconds(value) == text


def test_a_narrow_terminal_shortens_texts_and_never_numbers() -> None:
    table = Table(
        columns=[Column(name="name", kind="text"), Column(name="n", kind="count")],
        rows=[("x" * 100, 1_000_000)],
    )
    shown = list(lines(table, width=30))
    assert max(map(columns_of, shown)) <= 30
    assert shown[2].endswith("…  1,000,000")
    assert len(list(lines(table))[2]) == 100 + 2 + 9


def test_wide_characters_are_aligned_by_the_columns_they_take() -> None:
    table = Table(
        columns=[Column(name="name", kind="text"), Column(name="n", kind="count")],
        rows=[("日本語", 1), ("abc", 2), ("e\u0301t\u0301", 3)],
    )
    assert len({columns_of(line) for line in lines(table)}) == 1


def test_nothing_in_a_cell_can_steer_the_terminal() -> None:
    evil = "\x1b]0;owned\x07\x9b31m\r\nrow\u202etxt\u2066\x7f\ud800"
    table = Table(
        columns=[Column(name=evil)], rows=[(evil,), ([evil],), ({evil: 1},)], notes=[evil]
    )
    for shown in ("\n".join(lines(table)), as_json(table), *csv_lines(table, safe=True)):
        assert _unsafe(shown) == set()


def _unsafe(text: str) -> set[str]:
    return {c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cs")} | (
        set(text) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
    )


@given(st.text())
def test_printable_text_has_no_controls_and_plain_text_stays_as_it_is(text: str) -> None:
    assert _unsafe(printable(text)) == set()
    assert "\n" not in printable(text)
    if text.isascii() and text.isprintable():
        assert printable(text) == text


@given(st.text(), st.integers(min_value=1, max_value=20))
def test_a_shortened_text_fits(text: str, width: int) -> None:
    assert columns_of(shortened(printable(text), width)) <= width


def test_json_has_every_digit_and_null_for_unknown() -> None:
    text = as_json(SPEND)
    rows = json.loads(text, parse_float=Decimal)
    assert rows[0]["cost_usd"] == Decimal("12.34")
    assert '"cost_usd":0.000123' in text
    assert rows[2]["cost_usd"] is None
    assert rows[3]["part"] == "total"
    assert json.loads(as_json(Table(columns=[Column(name="a")], rows=[]))) == []


def test_json_keeps_columns_of_the_same_name_apart() -> None:
    table = Table(columns=[Column(name="a"), Column(name="a")], rows=[(1, 2)])
    assert json.loads(as_json(table)) == [{"a": 1, "a_2": 2}]


def test_json_takes_whatever_duckdb_gives() -> None:
    value = {
        "huge": 2**100,
        "nan": float("nan"),
        "no": Decimal("NaN"),
        "at": datetime(2026, 11, 24, tzinfo=UTC),
        "blob": b"\xff\x00",
        1: [Decimal("1.50"), None, True],
    }
    assert json.loads(json_line(value)) == {
        "huge": 2**100,
        "nan": None,
        "no": None,
        "at": "2026-11-24T00:00:00+00:00",
        "blob": "\\xff\x00",
        "1": [1.5, None, True],
    }


def test_csv_has_raw_values_and_reads_back() -> None:
    out = io.StringIO()
    write(SPEND, "csv", out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert rows[1]["cost_usd"] == "0.000123"
    assert rows[2]["cost_usd"] == ""
    assert [row["exchanges"] for row in rows] == ["12345", "7", "1", "12353"]


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8")), st.integers()), max_size=5))
def test_csv_quotes_whatever_a_text_holds(rows: list[tuple[str, int]]) -> None:
    table = Table(columns=[Column(name="name"), Column(name="n")], rows=rows)
    text = "\n".join(csv_lines(table, head=False))
    read = [tuple(row) for row in csv.reader(io.StringIO(text, newline=""))]
    assert read == [(name, str(n)) for name, n in rows]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "true"),
        (Decimal("1.500"), "1.5"),
        (["a", 1], '["a",1]'),
        (b"a", "a"),
        ({"k": "v"}, '{"k":"v"}'),
        (1234, "1234"),
        (datetime(2026, 1, 2), "2026-01-02 00:00:00"),
    ],
)
def test_plain_values_are_shown_as_they_are(value: Any, text: str) -> None:
    assert cell(value) == text


def test_a_mean_of_counts_has_one_decimal() -> None:
    assert [cell(1155.8082191780823, "count"), cell(50, "count")] == ["1,155.8", "50"]
