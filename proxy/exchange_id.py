"""Identifiers of exchanges: UUIDv7 (RFC 9562, section 5.7), which sort by time.

They are unique, not secret: each process draws from a generator of its own, seeded by the system.
"""

from __future__ import annotations

import random
import time

_noise = random.Random()


def new() -> str:
    """A new one, for now."""
    moment = time.time_ns() // 1_000_000
    noise = _noise.getrandbits(74)
    value = (moment & (1 << 48) - 1) << 80 | 7 << 76 | (noise >> 62) << 64
    value |= 2 << 62 | noise & (1 << 62) - 1
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
