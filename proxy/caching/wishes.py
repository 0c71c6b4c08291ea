"""What a client wants of a cache: `Cache-Control` and `Accept-Encoding` of its request.

Owns their reading (RFC 9111, section 5.2.1; RFC 9110, section 12.5.3). Pure.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from proxy.headers import RawHeaders, kind, text

CODINGS = frozenset({"", "gzip", "br", "zstd", "deflate"})
"""Content codings in which answers are kept; "" is none."""


class Wishes(NamedTuple):
    """What may be served and kept."""

    looks: bool
    """It takes a kept answer."""
    keeps: bool
    """Its own answer may be kept."""
    oldest_seconds: float
    codings: frozenset[str]
    """Content codings that it takes."""


@lru_cache(maxsize=256)
def of(raw: RawHeaders) -> Wishes:
    """The wishes of a request with these fields."""
    control: list[str] = []
    accepted: list[str] = []
    for name, value in raw:
        if kind(name).name == "cache-control":
            control += _listed(text(value))
        elif kind(name).name == "accept-encoding":
            accepted += _listed(text(value))
    oldest = min([_seconds(each) for each in control], default=float("inf"))
    return Wishes(
        looks="no-store" not in control and "no-cache" not in control and oldest > 0,
        keeps="no-store" not in control,
        oldest_seconds=oldest,
        codings=frozenset({"", *filter(None, map(_taken, accepted))}) & CODINGS,
    )


def _listed(value: str) -> list[str]:
    return [word.strip().lower() for word in value.split(",")]


def _seconds(directive: str) -> float:
    """Of `max-age=60`; any other directive allows every age."""
    name, _, value = directive.partition("=")
    return float(value) if name.strip() == "max-age" and value.strip().isdigit() else float("inf")


def _taken(word: str) -> str | None:
    """The coding, where its weight is not nought. `*` could be any: it is not relied on."""
    coding, _, weight = word.partition(";")
    refused = weight.replace(" ", "") in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return None if refused else coding.strip()
