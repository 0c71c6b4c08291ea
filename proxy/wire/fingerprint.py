"""A short name for what stays the same in a prompt: its instructions and its tools.

Owns the canonical form and the hash. Refuses to choose what belongs to it; each dialect does.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import orjson

_LENGTH = 16


def fingerprint(*parts: Any) -> str | None:
    """A hash of the parts, in hexadecimal, or None where all are empty.

    The order of an object's keys and the spacing do not matter; the order of tools does, as it
    does for the providers' caches.
    """
    if not any(parts):
        return None
    try:
        canonical = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # nested too deeply, or an integer beyond 64 bits
        try:
            canonical = json.dumps(parts, sort_keys=True).encode()
        except (RecursionError, ValueError):
            return None
    return hashlib.sha256(canonical).hexdigest()[:_LENGTH]
