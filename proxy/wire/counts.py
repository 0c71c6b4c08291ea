"""Numbers as providers write them.

Owns what counts as a count, a length of time or an amount. Refuses to make 0 out of what is not
there.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

_LARGEST = 2**53


def count(value: Any) -> int | None:
    """A number of tokens or calls; None for anything that cannot be one."""
    if type(value) is int:  # as nearly all are
        return value if 0 <= value <= _LARGEST else None
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and 0 <= value <= _LARGEST else None


def amount(value: Any) -> Decimal | None:
    """An amount of money that is 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Decimal(str(value)) if 0 <= value < _LARGEST else None


def seconds(value: Any) -> float | None:
    """A length of time; None for anything that cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < _LARGEST else None


def total(*parts: int | None) -> int | None:
    """The sum of the parts that are known; None where none is."""
    known = [part for part in parts if part is not None]
    return sum(known) if known else None
