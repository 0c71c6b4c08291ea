"""Drawing one of several: the same for the same word, in the shares that weights give.

Owns weighted rendezvous hashing: a changed weight moves only the calls that it must move. Pure.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from hashlib import blake2b

_RANGE = float(1 << 64)


def drawn(weights: Sequence[tuple[str, float]], salt: str, word: str | None) -> int:
    """The position of one of the named weights; by chance where there is no word."""
    if word is None:
        return random.choices(range(len(weights)), [weight for _, weight in weights])[0]
    scores = [weight / -math.log(_part(salt, word, name)) for name, weight in weights]
    return max(range(len(scores)), key=scores.__getitem__)


def _part(*words: str) -> float:
    """A number strictly between 0 and 1."""
    digest = blake2b("\0".join(words).encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") + 0.5) / _RANGE
