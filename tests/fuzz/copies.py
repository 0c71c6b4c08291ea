"""Copies that no provider sent: real exchanges damaged, and answers made up.

Owns the strategies. The exchanges are those of the coverage table, so each reader gets what
looks like its own format.
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass, replace
from typing import Any

import brotli
import zstandard
from hypothesis import strategies as st

from tests.support.exchanges_read import Said, everything

Strategy = st.SearchStrategy["Damaged"]
SAID = list(everything())
_CODINGS = {
    "gzip": lambda data: gzip.compress(data, 1),
    "deflate": lambda data: zlib.compress(data, 1),
    "br": lambda data: brotli.compress(data, quality=0),
    "zstd": lambda data: zstandard.ZstdCompressor(level=1).compress(data),
}
_NUMBERS = st.one_of(
    st.integers(-3, 300),
    st.sampled_from([0, -1, 2**31, 2**53, 2**63, 2**64, 1e308, -0.0, 0.5, 10**30]),
)
_SCALARS = st.one_of(st.none(), st.booleans(), _NUMBERS, st.text(max_size=8))
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
_BYTES = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        (
            *(b'"', b"\\", b"{", b"}", b"[", b"]", b"\n\n", b"\r\n\r\n", b"data: ", b"\x00"),
            *(b"\xff", b"[DONE]", b"null", b'"usage":{', b"\xef\xbb\xbf", b"event: error\n"),
            b'"error":',
        )
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """An exchange whose copies may be damaged, with a place at which the answer may be cut and
    one at which it goes on."""

    said: Said
    status: int
    cut: int
    resume: int
    pieces: tuple[int, ...]
    coding: str = ""


@st.composite
def intact(draw: st.DrawFn) -> Damaged:
    """As sent; only the cut is chosen."""
    return draw(_with_cut(draw(st.sampled_from(SAID))))


@st.composite
def bent(draw: st.DrawFn) -> Damaged:
    """JSON that is well formed and means something else: values replaced by others."""
    said = draw(st.sampled_from(SAID))
    answer = said.answer
    for _ in range(draw(st.integers(1, 3))):
        answer = draw(_with_other_value(answer))
    request = draw(_with_other_value(said.request)) if draw(st.booleans()) else said.request
    return draw(_with_cut(replace(said, answer=answer, request=request)))


@st.composite
def broken(draw: st.DrawFn) -> Damaged:
    """Bytes overwritten, inserted, doubled and swapped between exchanges."""
    said = draw(st.sampled_from(SAID))
    answer = said.answer
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(answer)))
        to = draw(st.integers(at, min(len(answer), at + 40)))
        other = draw(st.one_of(_BYTES, st.just(answer[to : to + 200])))
        answer = answer[:at] + other + answer[to:]
    if draw(st.integers(0, 9)) == 0:
        answer = draw(st.sampled_from(SAID)).answer
    request = draw(st.one_of(st.just(said.request), st.binary(max_size=60)))
    damaged = draw(_with_cut(replace(said, answer=answer, request=request)))
    return replace(damaged, coding=draw(st.sampled_from(["", "", *_CODINGS, "gzip, br", "what"])))


@st.composite
def _with_cut(draw: st.DrawFn, said: Said) -> Damaged:
    cut = draw(st.integers(0, len(said.answer)))
    return Damaged(
        said=said,
        status=draw(st.sampled_from([said.status] * 6 + [429, 500, 204])),
        cut=cut,
        resume=draw(st.integers(cut, len(said.answer))),
        pieces=tuple(draw(st.lists(st.integers(1, 90), min_size=1, max_size=4))),
    )


@st.composite
def _with_other_value(draw: st.DrawFn, data: bytes) -> bytes:
    """One value of one of the JSON texts in the data replaced."""
    lines = data.split(b"\n")
    places = [n for n, line in enumerate(lines) if b"{" in line or b"[" in line]
    if not places:
        return data
    place = draw(st.sampled_from(places))
    begin = lines[place].find(b"{")
    prefix, text = lines[place][: max(begin, 0)], lines[place][max(begin, 0) :]
    try:
        document = json.loads(text)
    except ValueError:
        return data
    changed = json.dumps(draw(_bent(document)), ensure_ascii=draw(st.booleans()))
    lines[place] = prefix + changed.encode("utf-8", "replace")
    return b"\n".join(lines)


@st.composite
def _bent(draw: st.DrawFn, document: Any) -> Any:
    """The document with one value, at any depth, replaced, left out or doubled."""
    if not isinstance(document, dict | list) or not document or draw(st.integers(0, 4)) == 0:
        return draw(_VALUES)
    if isinstance(document, list):
        at = draw(st.integers(0, len(document) - 1))
        return [*document[:at], draw(_bent(document[at])), *document[at + draw(st.booleans()) :]]
    key = draw(st.sampled_from(sorted(document)))
    if draw(st.integers(0, 5)) == 0:
        return {name: value for name, value in document.items() if name != key}
    return {**document, key: draw(_bent(document[key]))}


def coded(data: bytes, codings: str) -> bytes:
    """The data with these content codings applied, as far as they are known."""
    for name in filter(None, codings.split(", ")):
        data = _CODINGS.get(name, bytes)(data)
    return data
