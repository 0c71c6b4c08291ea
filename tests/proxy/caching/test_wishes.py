"""What clients say about caches and codings."""

from __future__ import annotations

import pytest

from proxy.caching import wishes

INFINITE = float("inf")


@pytest.mark.parametrize(
    ("value", "looks", "keeps", "oldest"),
    [
        (b"", True, True, INFINITE),
        (b"no-store", False, False, INFINITE),
        (b"No-Cache", False, True, INFINITE),
        (b"max-age=0", False, True, 0),
        (b"max-age=60", True, True, 60),
        (b"max-age=60, no-store", False, False, 60),
        (b"max-age=abc, max-stale", True, True, INFINITE),
        (b"private", True, True, INFINITE),
    ],
)
def test_cache_control_is_honoured(value: bytes, looks: bool, keeps: bool, oldest: float) -> None:
    found = wishes.of(((b"Cache-Control", value),))
    assert (found.looks, found.keeps, found.oldest_seconds) == (looks, keeps, oldest)


@pytest.mark.parametrize(
    ("value", "codings"),
    [
        (None, {""}),
        (b"", {""}),
        (b"gzip, deflate, br, zstd", {"", "gzip", "deflate", "br", "zstd"}),
        (b"GZIP;q=1.0, br;q=0", {"", "gzip"}),
        (b"br; q=0.000, compress", {""}),
        (b"*", {""}),
    ],
)
def test_only_codings_that_are_named_are_taken(value: bytes | None, codings: set[str]) -> None:
    fields = () if value is None else ((b"accept-encoding", value),)
    assert wishes.of(fields).codings == codings
