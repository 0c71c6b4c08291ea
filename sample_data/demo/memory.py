"""The prompt cache: which long prefixes were seen before.

Owns a bounded set of digests, never the text itself. Refuses to forget by the clock, so that the
same requests in the same order always give the same usage.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from typing import Literal

CHARS_PER_TOKEN = 4
MIN_TOKENS = 1024
_STEP_TOKENS = 128
_MAX_STEPS = 1024
_LOOK_BACK = 20
Lifetime = Literal["5m", "1h"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Where a block of the prompt ends; with a lifetime where the client asked to cache it."""

    end: int
    lifetime: Lifetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheUse:
    """Tokens read from the cache, and written to it by lifetime."""

    read: int = 0
    written_5m: int = 0
    written_1h: int = 0


class Memory:
    """Digests of prefixes, the oldest forgotten first."""

    def __init__(self, limit: int = 65_536) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._limit = limit

    def cached_tokens(self, model: str, text: str) -> int:
        """The tokens of `text` that an earlier prompt began with: 0, or 1024 + n * 128."""
        if len(text) < MIN_TOKENS * CHARS_PER_TOKEN:
            return 0
        step = _STEP_TOKENS * CHARS_PER_TOKEN
        ends = range(MIN_TOKENS * CHARS_PER_TOKEN, len(text) + 1, step)[:_MAX_STEPS]
        cached = 0
        for end, digest in zip(ends, _digests(model, text, ends), strict=True):
            if digest in self._seen:
                cached = end // CHARS_PER_TOKEN
            self._remember(digest)
        return cached

    def marked_tokens(self, model: str, text: str, marks: Sequence[Mark]) -> CacheUse:
        """What a prompt with explicit breakpoints reads and writes."""
        asked = [
            (index, mark)
            for index, mark in enumerate(marks)
            if mark.lifetime and mark.end >= MIN_TOKENS * CHARS_PER_TOKEN
        ]
        if not asked:
            return CacheUse()
        digests = _digests(model, text, [mark.end for mark in marks])
        read_to = 0
        for index, _ in asked:
            for near in range(max(0, index - _LOOK_BACK), index + 1):
                if digests[near] in self._seen:
                    read_to = max(read_to, marks[near].end)
        for index, _ in asked:
            self._remember(digests[index])
        return _split(read_to, [mark for _, mark in asked])

    def _remember(self, digest: bytes) -> None:
        self._seen[digest] = None
        self._seen.move_to_end(digest)
        if len(self._seen) > self._limit:
            self._seen.popitem(last=False)


def _split(read_to: int, asked: Sequence[Mark]) -> CacheUse:
    written = {"5m": 0, "1h": 0}
    for before, after in pairwise([Mark(end=0), *asked]):
        fresh = after.end // CHARS_PER_TOKEN - max(before.end, read_to) // CHARS_PER_TOKEN
        written[after.lifetime or "5m"] += max(0, fresh)
    return CacheUse(
        read=read_to // CHARS_PER_TOKEN, written_5m=written["5m"], written_1h=written["1h"]
    )


def _digests(model: str, text: str, ends: Sequence[int]) -> list[bytes]:
    state = blake2b(model.encode("utf-8", "surrogatepass"), digest_size=12)
    result = []
    start = 0
    for end in ends:
        state.update(text[start:end].encode("utf-8", "surrogatepass"))
        result.append(state.copy().digest())
        start = end
    return result
