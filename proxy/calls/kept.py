"""A value computed when it is first asked for, and kept.

Like functools.cached_property, but without the lock that it has before Python 3.12 and that costs
more than most of the values here: a call is served by one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class kept(Generic[T]):
    """Decorates a method without arguments; the value takes the method's place in the instance."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    def __get__(self, instance: Any, owner: type | None = None) -> T:
        value = instance.__dict__[self._name] = self._compute(instance)
        return value
