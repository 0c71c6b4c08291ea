"""Figures as people read them on a screen.

Owns how many digits an amount, a count, a share, a duration or a change gets. Unknown is a dash.
Charts get plain floats from here; money stays exact below. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from analytics import tables

UNKNOWN = "\u2013"
_STEPS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def usd(amount: Decimal | float | None) -> str:
    """Dollars: without cents from 10,000 on, and with as many digits as tell something below."""
    if amount is None:
        return UNKNOWN
    exact = amount if isinstance(amount, Decimal) else Decimal(repr(float(amount)))
    if abs(exact) >= 10_000:
        return f"{'-' if exact < 0 else ''}${abs(exact):,.0f}"
    return tables.usd(exact)


def usds(amounts: Sequence[Decimal | float | None]) -> list[str]:
    """Dollars for a list: all with as many digits as suit the largest of them.

    One that would show as nothing then is told as less than what shows.
    """
    known = [abs(float(each)) for each in amounts if each is not None]
    largest = max(known, default=0.0)
    digits = 0 if largest >= 10_000 else 2
    while digits < 8 and 0 < largest < 10 ** (2 - digits) * 0.995:
        digits += 1
    return [_rounded(each, digits) for each in amounts]


def _rounded(amount: Decimal | float | None, digits: int) -> str:
    if amount is None:
        return UNKNOWN
    least = 10.0**-digits
    if 0 < abs(float(amount)) < least / 2:
        return f"<${least:.{digits}f}" if amount > 0 else f">-${least:.{digits}f}"
    return f"{'-' if amount < 0 else ''}${abs(amount):,.{digits}f}"


def count(number: float | None) -> str:
    """A count in three digits: 4,210 and then 42.1k, 4.21M."""
    if number is None:
        return UNKNOWN
    if abs(number) < 10_000:
        return f"{number:,.0f}"
    for size, sign in _STEPS:
        if abs(number) >= size * 0.9995:
            scaled = number / size
            digits = 2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0
            return f"{scaled:.{digits}f}{sign}"
    return f"{number:,.0f}"


def share(part: float | None) -> str:
    """A part of 1 as a percentage."""
    if part is None:
        return UNKNOWN
    percent = part * 100
    if percent == 0 or abs(percent) >= 9.95:
        return f"{percent:.0f}%"
    return f"{percent:.1f}%" if abs(percent) >= 0.095 else f"{percent:.2f}%"


def seconds(value: float | None) -> str:
    return UNKNOWN if value is None else tables.seconds(value)


def size(number: float | None) -> str:
    """Bytes in units of 1,000."""
    if number is None:
        return UNKNOWN
    if number < 1000:
        return f"{number:.0f} B"
    for step, sign in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= step * 0.9995:
            return f"{number / step:.{0 if number >= 100 * step else 1}f} {sign}"
    return f"{number / 1e3:.1f} kB"


def change(now: Decimal | float | None, before: Decimal | float | None) -> str | None:
    """How much more or less than before: `+12%`, fourteen times; None where that says nothing."""
    if now is None or before is None or float(before) == 0:
        return None
    ratio = float(now) / float(before)
    if ratio >= 10:
        return f"\u00d7{ratio:,.0f}"
    percent = (ratio - 1) * 100
    if abs(percent) < 0.05:
        return "+0%"
    return f"{percent:+.1f}%" if abs(percent) < 9.95 else f"{percent:+.0f}%"


def when(moment: datetime | None) -> str:
    return UNKNOWN if moment is None else moment.strftime("%d %b %Y, %H:%M:%S UTC")


def number(value: Decimal | float | None) -> float | None:
    """A plain float for a chart."""
    return None if value is None else float(value)


def usd_format(amounts: Iterable[float | None]) -> str:
    """A printf format that suits all these amounts: digits enough for the largest of them."""
    largest = max((abs(each) for each in amounts if each is not None), default=0.0)
    digits = 0 if largest >= 10_000 else 2 if largest >= 0.995 else 4 if largest >= 0.00995 else 6
    return f"$%,.{digits}f"
