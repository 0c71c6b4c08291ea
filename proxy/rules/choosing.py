"""Choosing the rules that concern a call.

Owns the order: as written, the first that is met, or all that are. A rule's conditions are made
ready once, when the rules are loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

from proxy.rules.conditions import Known, Test, When, made_ready, unmet
from proxy.rules.settings import Rule

T = TypeVar("T")


class Ready(NamedTuple, Generic[T]):
    """A rule made ready: its name, its conditions and what it does."""

    name: str
    conditions: tuple[Test, ...]
    does: T
    when: When


class Rules(Generic[T]):
    """The rules of one kind, in order."""

    def __init__(self, kind: type[T], rules: Iterable[Rule]) -> None:
        self._ready = tuple(
            Ready(rule.name, made_ready(rule.when), does, rule.when)
            for rule in rules
            if rule.enabled and isinstance(does := getattr(rule, rule.kind), kind)
        )

    def __bool__(self) -> bool:
        return bool(self._ready)

    def __iter__(self) -> Iterator[Ready[T]]:
        return iter(self._ready)

    def first(self, call: Known) -> Ready[T] | None:
        """The first rule that concerns the call."""
        for ready in self._ready:
            if not ready.conditions or unmet(ready.conditions, call) is None:
                return ready
        return None

    def all(self, call: Known) -> list[Ready[T]]:
        """Every rule that concerns the call."""
        found = []
        for ready in self._ready:
            if not ready.conditions or unmet(ready.conditions, call) is None:
                found.append(ready)
        return found
