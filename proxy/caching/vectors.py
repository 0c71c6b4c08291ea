"""Vectors of what was asked, to find the one that means nearly the same.

Owns them, for one rule, within a bound: the oldest gives way. Only vectors of one group are
compared, those of requests that are otherwise the same. Refuses to know what the words were.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:  # else only where a rule wants it: it takes long to load
    import numpy as np
    from numpy.typing import NDArray

MOST = 4096
"""Of one rule: 24 MiB at 1,536 numbers each, compared in a few milliseconds."""
_FIRST = 64
Vector: TypeAlias = "NDArray[np.float32]"


class Near(NamedTuple):
    """The key of a request, and how alike its question is (1: the same)."""

    key: bytes
    likeness: float


def unit(numbers: list[float]) -> Vector | None:
    """The vector at length one; None where it points nowhere."""
    import numpy as np

    vector = np.asarray(numbers, dtype=np.float32)
    length = float(np.linalg.norm(vector))
    return vector / length if vector.ndim == 1 and length > 0 and np.isfinite(length) else None


def likeness(one: Vector, other: Vector) -> float:
    """The cosine of two vectors of length one."""
    return float(one @ other) if one.shape == other.shape else 0.0


class Vectors:
    """The vectors of one rule. Those of another model have another length: they replace all."""

    def __init__(self) -> None:
        self._clear(0)

    def _clear(self, length: int) -> None:
        import numpy as np

        self._matrix = np.zeros((0, length), dtype=np.float32)
        self._groups: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._keys: list[bytes] = []
        self._next = 0

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, group: bytes, vector: Vector, key: bytes) -> None:
        if vector.shape[0] != self._matrix.shape[1]:
            self._clear(vector.shape[0])
        at = self._next
        if at == len(self._matrix):
            self._grow()
        if at == len(self._keys):
            self._keys.append(key)
        self._keys[at], self._groups[at], self._matrix[at] = key, _number(group), vector
        self._next = (at + 1) % MOST

    def near(self, group: bytes, vector: Vector, threshold: float) -> Iterator[Near]:
        """Those of the group that are at least so alike, the nearest first."""
        import numpy as np

        count = len(self._keys)
        if not count or vector.shape[0] != self._matrix.shape[1]:
            return
        likenesses = self._matrix[:count] @ vector
        fitting = (likenesses >= threshold) & (self._groups[:count] == _number(group))
        places = np.flatnonzero(fitting)
        for place in places[np.argsort(-likenesses[places])]:
            yield Near(self._keys[place], float(likenesses[place]))

    def _grow(self) -> None:
        import numpy as np

        more = min(MOST, max(_FIRST, 2 * len(self._matrix))) - len(self._matrix)
        self._matrix = np.vstack(
            [self._matrix, np.zeros((more, self._matrix.shape[1]), dtype=np.float32)]
        )
        self._groups = np.concatenate([self._groups, np.zeros(more, dtype=np.int64)])


def _number(group: bytes) -> int:
    return int.from_bytes(group[:8], signed=True)
