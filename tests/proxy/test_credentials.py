from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.credentials import (
    KeyHash,
    credential,
    mask_target,
    remove,
    remove_edges,
    values,
    without_parameters,
)

AWS = "AWS4-HMAC-SHA256 Credential=AKIAX123/2026/r/s/aws4_request, Signature=abcdef0123"


@pytest.mark.parametrize(
    ("headers", "target", "expected"),
    [
        ([("authorization", "Bearer sk-1")], "/", "sk-1"),
        ([("authorization", "Bearer sk-1"), ("x-api-key", "sk-2")], "/", "sk-2"),
        ([("authorization", AWS)], "/", "AKIAX123"),
        ([("cookie", "a=b")], "/?key=k1", "k1"),
        ([], "/x?a=b&Key=a%2Fb", "a/b"),
        ([], "/x", None),
    ],
)
def test_the_caller_is_known_by_one_credential(
    headers: list[tuple[str, str]], target: str, expected: str | None
) -> None:
    assert credential(headers, target) == expected


def test_every_secret_is_found_in_each_of_its_forms() -> None:
    found = values(
        [
            ("authorization", AWS),
            ("cookie", "a=first-cookie; b=second-cookie"),
            ("sec-websocket-protocol", "x, openai-insecure-api-key.sk-websocket"),
        ],
        "/?key=in%2Fquery&alt=sse",
    )
    assert list(found) == sorted(found, key=len, reverse=True)
    expected = {b"AKIAX123", b"abcdef0123", b"first-cookie", b"second-cookie", b"sk-websocket"}
    assert expected | {b"in/query", b"in%2Fquery"} <= set(found)


def test_what_is_too_short_to_be_a_secret_is_not_looked_for() -> None:
    assert values([("x-api-key", "short")], "/") == ()


def test_parameters_are_masked_and_all_else_is_kept() -> None:
    target = "/a%2F?x=1&key=secret&KEY=s2&%6bey=s3&keyed=y&alt=sse&token&="
    masked = "/a%2F?x=1&key=***&KEY=***&%6bey=***&keyed=y&alt=sse&token&="
    assert mask_target(target) == masked
    assert mask_target("/no?") == "/no?"


@pytest.mark.parametrize(
    ("target", "expected"),
    [("/a?key=k", "/a"), ("/a?x=1&key=k&y", "/a?x=1&y"), ("/a?", "/a?"), ("/a", "/a")],
)
def test_parameters_are_dropped(target: str, expected: str) -> None:
    assert without_parameters(target) == expected


@given(st.binary(max_size=30), st.binary(max_size=30))
def test_a_removed_secret_leaves_the_length(before: bytes, after: bytes) -> None:
    text = before + b"sk-canary" + after
    cleaned = remove(text, [b"sk-canary"])
    assert len(cleaned) == len(text)
    assert b"sk-canary" not in cleaned


@given(st.integers(6, 20), st.integers(6, 20))
def test_halves_at_the_edges_of_a_gap_are_removed(first: int, last: int) -> None:
    secret = b"sk-canary-0123456789X"
    joined = remove_edges(b"head " + secret[:first], secret[-last:] + b" tail", [secret])
    assert joined == b"head " + b"*" * first + b"*" * last + b" tail"


def test_the_hash_is_stable_keyed_and_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, again, other = (KeyHash.of(tmp_path / name) for name in ("a", "a", "b"))
    assert one.of_credential("sk-1") == again.of_credential("sk-1")
    assert one.of_credential("sk-1") != other.of_credential("sk-1")
    assert one.of_credential("sk-1") != one.of_credential("sk-2")
    assert repr(one) == "KeyHash(***)"
    (key,) = (tmp_path / "a").iterdir()
    assert (key.stat().st_mode & 0o777, len(key.read_bytes())) == (0o600, 32)
