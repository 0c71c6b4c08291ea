"""What a provider's prompt cache could have read, against what it was billed to have read.

Owns the simulation of such a cache: it knows the beginnings of the prompts that the same model saw
in the last minutes. Pure: requests in order of time in, tokens out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from analytics.reports.requests import BLOCK_BYTES, Sketch

_LEAST_TOKENS = 1_024
# As the providers' pages on prompt caching give them.
_LEAST = (
    (re.compile(r"haiku-4-5|opus-4-[56]"), 4_096),
    (re.compile(r"haiku|opus-4-7"), 2_048),
    (re.compile(r"gemini-2\.5-pro"), 4_096),
)


def least_tokens(model: str | None) -> int:
    """The shortest beginning that the model's provider caches, in tokens."""
    name = (model or "").lower()
    return next((least for pattern, least in _LEAST if pattern.search(name)), _LEAST_TOKENS)


class Sent(NamedTuple):
    """A request at its time. `served`: who caches for whom (provider, model, key)."""

    exchange_id: str
    at: datetime
    served: tuple[str | None, ...]
    keep: timedelta
    """How long its provider keeps a beginning that is not used."""
    sketch: Sketch
    input_tokens: int
    cache_read_tokens: int


class Missed(NamedTuple):
    """Input tokens that were not read from the cache and could have been.

    `is_new`: they had to be written first, as nothing had used their beginning again before.
    `broken`: only if what differs from call to call stood behind what stays the same.
    """

    exchange_id: str
    tokens: int
    is_new: bool
    broken: bool


def missed(requests: Iterable[Sent]) -> Iterator[Missed]:
    """What was missed, with a cache that forgets what was not used for so long.

    A beginning counts in steps of BLOCK_BYTES, and by its share of the prompt's bytes in its input
    tokens, so figures are estimates, and rather too low. Beginnings below the provider's minimum
    are not cached.
    """
    beginnings, endings = _Cache(), _Cache()
    for each in requests:
        least = least_tokens(each.served[1])
        blocks, is_new = beginnings.look(each, each.sketch.chain)
        moved, moved_is_new = endings.look(each, each.sketch.tail)
        broken = moved > blocks
        share = max(blocks, moved) * BLOCK_BYTES / max(each.sketch.size, 1)
        found = int(each.input_tokens * share)
        tokens = found - each.cache_read_tokens
        if found >= least and tokens > 0:
            yield Missed(each.exchange_id, tokens, moved_is_new if broken else is_new, broken)


class _Cache:
    """Beginnings by hash: when each was last used, and whether that was a hit already."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str | None, ...], dict[bytes, tuple[datetime, bool]]] = {}

    def look(self, each: Sent, chain: tuple[bytes, ...]) -> tuple[int, bool]:
        """How many blocks are known, and whether they are used again for the first time."""
        seen = self._seen.setdefault(each.served, {})
        known, is_new = 0, False
        for number, link in enumerate(chain, 1):
            at, was_hit = seen.get(link, (None, False))
            if at is None or each.at - at > each.keep:
                break
            known, is_new = number, not was_hit
        for number, link in enumerate(chain, 1):
            seen[link] = (each.at, number <= known)
        return known, is_new
