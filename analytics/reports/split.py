"""Why two sums of money differ: the difference, divided among its causes.

Owns the arithmetic. The cost of a group of exchanges is, over its models m and input classes c,

    N * S_m * (I_m * sum_c(H_mc * P_mc) + O_m * Q_m + R_m)

with N exchanges, the model's share S of them, I input and O output tokens per exchange, the part H
of the input that is of class c (fresh, read from a cache, written to one), dollars P and Q per
token, and R dollars per exchange that no token explains. Each product is divided by Shapley's
value: a factor gets the mean, over all orders in which the factors could change from before to
after one at a time, of what its change makes of the product. So no order is preferred, a factor
that did not change gets nothing, and the parts add up to the difference exactly.

What a model would have cost in a window in which it was not used is not known; its factors there
are taken to be those of the other window, so that its coming or going counts as mix alone. A group
that is new or gone counts as traffic alone, for the same reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from functools import cache
from math import factorial

from analytics.reports.sums import Part

CAUSES = ("traffic", "mix", "input_length", "output_length", "cache", "price", "other")
PICODOLLAR = Decimal("1e-12")
_DIGITS = 60
_NOTHING = Decimal(0)

Causes = dict[str, Decimal]
_Product = tuple[tuple[str, ...], list[Decimal], list[Decimal]]
"""The names of its factors, and their values before and after."""


def shapley(before: Sequence[Decimal], after: Sequence[Decimal]) -> list[Decimal]:
    """The difference of two products, divided among their factors."""
    shares = []
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        if old == new:
            shares.append(_NOTHING)
            continue
        # The coefficient of x^s is the sum, over all choices of s other factors that have changed.
        sums = [Decimal(1)]
        for other, (unchanged, changed) in enumerate(zip(before, after, strict=True)):
            if other != number:
                raised = [_NOTHING, *(each * changed for each in sums)]
                sums = [*(each * unchanged for each in sums), _NOTHING]
                sums = [a + b for a, b in zip(sums, raised, strict=True)]
        weights = _weights(len(before))
        mean = sum((w * each for w, each in zip(weights, sums, strict=True)), _NOTHING)
        shares.append((new - old) * mean)
    return shares


@cache
def _weights(factors: int) -> tuple[Decimal, ...]:
    """How likely it is, in a random order, that just these s others change before a factor."""
    with localcontext(prec=_DIGITS):
        return tuple(
            Decimal(factorial(s) * factorial(factors - 1 - s)) / factorial(factors)
            for s in range(factors)
        )


def split(before: Mapping[str, Part], after: Mapping[str, Part]) -> dict[str, Causes]:
    """The difference of a group's cost between two windows, by model and cause, in dollars.

    Both map the group's models to what they did; a model that did nothing is left out. All
    parts together are exactly the cost after less the cost before, in picodollars.
    """
    with localcontext(prec=_DIGITS):
        whole = {side: _exchanges(parts) for side, parts in (("b", before), ("a", after))}
        found = {
            model: _model(before.get(model), after.get(model), whole["b"], whole["a"])
            for model in sorted({*before, *after})
        }
        difference = _cost(after) - _cost(before)
        return _rounded(found, difference)


def _exchanges(parts: Mapping[str, Part]) -> Decimal:
    return sum((part.exchanges for part in parts.values()), _NOTHING)


def _cost(parts: Mapping[str, Part]) -> Decimal:
    return sum((part.cost_usd for part in parts.values()), _NOTHING)


def _model(old: Part | None, new: Part | None, n_old: Decimal, n_new: Decimal) -> Causes:
    causes = dict.fromkeys(CAUSES, _NOTHING)
    model = [_Factors(old or new, new), _Factors(new or old, old)]
    first, last = model
    shares = [
        (old.exchanges if old else _NOTHING) / n_old if n_old else None,
        (new.exchanges if new else _NOTHING) / n_new if n_new else None,
    ]
    s_old, s_new = (shares[0] if n_old else shares[1]), (shares[1] if n_new else shares[0])
    assert s_old is not None
    assert s_new is not None
    heads = [(n_old, n_new), (s_old, s_new)]
    products: list[_Product] = [
        (("input_length", "cache", "price"), [first.length, h, p], [last.length, k, q])
        for h, p, k, q in zip(first.mix, first.prices, last.mix, last.prices, strict=True)
    ]
    one, two = ([each.output, each.output_price] for each in model)
    products.append((("output_length", "price"), one, two))
    products.append((("other",), [first.other], [last.other]))
    for names, one, two in products:
        before, after = [heads[0][0], heads[1][0], *one], [heads[0][1], heads[1][1], *two]
        for name, usd in zip(("traffic", "mix", *names), shapley(before, after), strict=True):
            causes[name] += usd
    return causes


class _Factors:
    """A part per exchange and token; a factor with nothing behind it is as on the other side."""

    def __init__(self, part: Part | None, other: Part | None) -> None:
        assert part is not None
        count = part.exchanges
        self.length = part.input_tokens / count
        told = part if part.input_tokens else other or part
        self.mix = [n / told.input_tokens if told.input_tokens else _NOTHING for n in told.inputs]
        self.prices = _prices(told)
        self.output = part.output / count
        told = part if part.output else other or part
        self.output_price = told.output_usd / told.output if told.output else _NOTHING
        self.other = part.other_usd / count


def _prices(part: Part) -> list[Decimal]:
    """Dollars per token of each input class, as paid on average."""
    weighted = sum((w * n for w, n in zip(part.weights, part.inputs, strict=True)), _NOTHING)
    fresh = part.input_usd / weighted if weighted else _NOTHING
    return [fresh * weight for weight in part.weights]


def _rounded(found: dict[str, Causes], difference: Decimal) -> dict[str, Causes]:
    """Whole picodollars; what rounding leaves goes to the largest part, where it is least."""
    rounded = {
        model: {name: usd.quantize(PICODOLLAR) for name, usd in causes.items()}
        for model, causes in found.items()
    }
    every = [(abs(usd), model, name) for model, cs in rounded.items() for name, usd in cs.items()]
    if every:
        _, model, name = max(every)
        total = sum((sum(causes.values(), _NOTHING) for causes in rounded.values()), _NOTHING)
        rounded[model][name] += difference - total
    return rounded
