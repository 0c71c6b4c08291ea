"""Usage as Cohere tells it: what a call used, and what of it is billed.

Owns which of the two counts, and the search units of a rerank, which are billed though they are
no tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.facts import Usage
from proxy.wire.counts import count, total


def cohere_usage(raw: Any) -> Usage | None:
    """The `usage` of version 2's chat, or the `meta` of everything else; None without counts.

    The billed units are what the price is for: instructions that Cohere adds are used and not
    billed. What came from its cache is counted among the used, so it may be more than the billed.
    """
    if not isinstance(raw, dict):
        return None
    billed, used = _object(raw.get("billed_units")), _object(raw.get("tokens"))
    counted = billed or used
    if not counted:
        return None
    images = count(counted.get("image_tokens"))
    searched = count(billed.get("search_units"))
    return Usage(
        input_tokens=total(count(counted.get("input_tokens")), images),
        output_tokens=count(counted.get("output_tokens")),
        cache_read_tokens=count(raw.get("cached_tokens")),
        image_input_tokens=images,
        units={"search_units": searched} if searched else {},
        raw={name: value for name, value in raw.items() if name not in ("api_version", "warnings")},
    )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
