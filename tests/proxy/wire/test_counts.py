"""What counts as a number."""

from decimal import Decimal

import pytest

from proxy.wire.counts import amount, count, total


@pytest.mark.parametrize("value", [None, True, -1, 1.5, "7", [], 2**60, float("nan"), float("inf")])
def test_what_cannot_be_a_count_is_unknown(value):
    assert count(value) is None


def test_counts_are_whole_numbers():
    assert (count(0), count(7), count(7.0)) == (0, 7, 7)


def test_amounts_are_exact():
    assert amount(0.1) == Decimal("0.1")
    assert (amount(-1), amount(True), amount("1"), amount(float("nan"))) == (None,) * 4


def test_a_total_of_nothing_known_is_unknown():
    assert (total(None, None), total(None, 0), total(1, None, 2)) == (None, 0, 3)
