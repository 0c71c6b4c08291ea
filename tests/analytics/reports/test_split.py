"""The division of a difference among its causes, against plain definitions of it."""

from __future__ import annotations

from decimal import Decimal, localcontext
from itertools import permutations
from math import factorial, prod

from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.reports.split import CAUSES, shapley, split
from analytics.reports.sums import Part

ONE = Decimal(1)
amounts = st.decimals(min_value=0, max_value=1000, places=6)


def part(
    exchanges: int = 10,
    fresh: int = 1000,
    read: int = 0,
    output: int = 100,
    price: str = "0.001",
    other: str = "0",
) -> Part:
    """Cached input costs a tenth of fresh input, output four times as much."""
    each = Decimal(price)
    tenth = Decimal("0.1")
    return Part(
        exchanges=Decimal(exchanges),
        inputs=(Decimal(fresh), Decimal(read), Decimal(0), Decimal(0)),
        output=Decimal(output),
        weights=(ONE, tenth, ONE, ONE),
        input_usd=each * fresh + each * tenth * read,
        output_usd=4 * each * output,
        other_usd=Decimal(other),
    )


def causes(before: dict[str, Part], after: dict[str, Part]) -> dict[str, Decimal]:
    found = split(before, after)
    return {name: sum((each[name] for each in found.values()), Decimal(0)) for name in CAUSES}


def nonzero(before: dict[str, Part], after: dict[str, Part]) -> dict[str, Decimal]:
    return {name: usd for name, usd in causes(before, after).items() if usd}


@settings(deadline=None)
@given(st.lists(st.tuples(amounts, amounts), min_size=1, max_size=5))
def test_shapley_is_the_mean_over_all_orders(factors: list[tuple[Decimal, Decimal]]) -> None:
    with localcontext(prec=60):
        expected = [Decimal(0)] * len(factors)
        for order in permutations(range(len(factors))):
            now = [old for old, _ in factors]
            for number in order:
                was = prod(now, start=ONE)
                now[number] = factors[number][1]
                expected[number] += prod(now, start=ONE) - was
        found = shapley([old for old, _ in factors], [new for _, new in factors])
        for one, other in zip(found, expected, strict=True):
            assert abs(one - other / factorial(len(factors))) < Decimal("1e-30")


parts = st.builds(
    part,
    exchanges=st.integers(1, 1000),
    fresh=st.integers(0, 10**6),
    read=st.integers(0, 10**6),
    output=st.integers(0, 10**5),
    price=st.sampled_from(["0.001", "0.0000025", "0.3333333"]),
    other=st.sampled_from(["0", "0.7"]),
)
sides = st.dictionaries(st.sampled_from("abc"), parts, max_size=3)


@settings(deadline=None)
@given(sides, sides)
def test_causes_add_up_to_the_difference_exactly(
    before: dict[str, Part], after: dict[str, Part]
) -> None:
    difference = sum((p.cost_usd for p in after.values()), Decimal(0))
    difference -= sum((p.cost_usd for p in before.values()), Decimal(0))
    assert sum(causes(before, after).values()) == difference


def test_twice_the_traffic_is_traffic_alone() -> None:
    assert nonzero({"m": part()}, {"m": part(20, 2000, 0, 200)}) == {"traffic": Decimal("1.4")}


def test_longer_prompts_are_input_length_alone() -> None:
    assert nonzero({"m": part()}, {"m": part(fresh=3000)}) == {"input_length": Decimal(2)}


def test_longer_answers_are_output_length_alone() -> None:
    assert nonzero({"m": part()}, {"m": part(output=150)}) == {"output_length": Decimal("0.2")}


def test_a_colder_cache_is_cache_alone() -> None:
    warm, cold = part(fresh=200, read=800), part(fresh=1000)
    assert nonzero({"m": warm}, {"m": cold}) == {"cache": Decimal("0.72")}


def test_a_new_price_is_price_alone() -> None:
    assert nonzero({"m": part()}, {"m": part(price="0.0015")}) == {"price": Decimal("0.7")}


def test_a_reported_cost_that_no_token_explains_is_other() -> None:
    assert nonzero({"m": part(other="1")}, {"m": part(other="3")}) == {"other": Decimal(2)}


def test_another_model_is_mix_alone() -> None:
    assert nonzero({"big": part(price="0.01")}, {"small": part()}) == {"mix": Decimal("-12.6")}


def test_a_new_group_and_one_that_is_gone_are_traffic_alone() -> None:
    assert nonzero({}, {"m": part()}) == {"traffic": Decimal("1.4")}
    assert nonzero({"m": part()}, {}) == {"traffic": Decimal("-1.4")}


def test_nothing_on_both_sides_has_no_causes() -> None:
    assert split({}, {}) == {}
