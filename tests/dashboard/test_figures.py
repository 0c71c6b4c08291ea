from __future__ import annotations

from decimal import Decimal

import pytest

from dashboard import figures


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (Decimal("12345.6"), "$12,346"),
        (Decimal("9999.5"), "$9,999.50"),
        (Decimal("0.00123"), "$0.00123"),
        (-3.5, "-$3.50"),
        (0, "$0.00"),
        (None, figures.UNKNOWN),
    ],
)
def test_money_has_the_digits_that_tell_something(amount: Decimal | None, shown: str) -> None:
    assert figures.usd(amount) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (9999, "9,999"),
        (12_345, "12.3k"),
        (999_999, "1.00M"),
        (4_200_000_000, "4.20B"),
        (None, figures.UNKNOWN),
    ],
)
def test_count_has_three_digits(number: int | None, shown: str) -> None:
    assert figures.count(number) == shown


@pytest.mark.parametrize(
    ("now", "before", "shown"),
    [
        (3, 2, "+50%"),
        (2, 3, "-33%"),
        (2.02, 2, "+1.0%"),
        (2, 2, "+0%"),
        (100, 2, "\u00d750"),
        (1, 0, None),
        (None, 1, None),
        (1, None, None),
    ],
)
def test_change_says_how_much(now: float | None, before: float | None, shown: str | None) -> None:
    assert figures.change(now, before) == shown


@pytest.mark.parametrize(
    ("part", "shown"), [(0.0, "0%"), (0.1234, "12%"), (0.0123, "1.2%"), (0.0004, "0.04%")]
)
def test_share_is_a_percentage(part: float, shown: str) -> None:
    assert figures.share(part) == shown


def test_amounts_of_a_chart_share_a_format() -> None:
    assert figures.usd_format([0.004, None, 120.0]) == "$%,.2f"
    assert figures.usd_format([0.004]) == "$%,.6f"
    assert figures.usd_format([]) == "$%,.6f"


def test_bytes_have_a_unit() -> None:
    assert [figures.size(each) for each in (12, 15_478_784, None)] == ["12 B", "15.5 MB", "\u2013"]


@pytest.mark.parametrize(
    ("amounts", "shown"),
    [
        ([7.69, 0.753, 0.49, None], ["$7.69", "$0.75", "$0.49", figures.UNKNOWN]),
        ([7.69, 0.004, -0.001], ["$7.69", "<$0.01", ">-$0.01"]),
        ([0.00963, 0.000057], ["$0.00963", "$0.00006"]),
        ([12_345, 3.2], ["$12,345", "$3"]),
        ([Decimal("0"), Decimal("-2.5")], ["$0.00", "-$2.50"]),
        ([], []),
    ],
)
def test_amounts_of_a_list_have_the_same_digits(
    amounts: list[float | None], shown: list[str]
) -> None:
    assert figures.usds(amounts) == shown
