"""What policies remember from call to call, across reloads of the rules.

Owns one object for each kind and key. Refuses to outlive the worker.
"""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


class Memory:
    """Counters, circuits and averages, made on first use."""

    def __init__(self) -> None:
        self._kept: dict[tuple[type, str], Any] = {}

    def of(self, kind: type[T], key: str) -> T:
        """The one of this kind and key."""
        found: T | None = self._kept.get((kind, key))
        if found is None:
            found = self._kept[kind, key] = kind()
        return found

    def all(self, kind: type[T]) -> dict[str, T]:
        return {key: kept for (k, key), kept in self._kept.items() if k is kind}
