"""However a stream is cut, what is found in it is found, and masked as in the whole text."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.screening.bodies import screened
from proxy.screening.detectors import NAMES, expression
from proxy.screening.growing import Growing
from proxy.screening.held_stream import HeldStream, through
from proxy.screening.masks import Masks
from proxy.screening.screen import Screen, Wanted
from tests.proxy.screening.test_detectors import REAL, UNREAL


def ticket(text: str) -> Any:
    return (m.span() for m in expression(r"\bPRJ-[0-9]{1,9}\b").finditer(text))


MASKS = Masks(lambda value: hashlib.sha256(value.encode()).hexdigest())
LOOKED_FOR = [Wanted(name, "mask", "r") for name in NAMES if name != "injection"]
SCREEN = Screen(LOOKED_FOR)
WITH_PATTERN = Screen([*LOOKED_FOR, Wanted("ticket", "mask", "r", ticket)])
WORDS = [
    "Hello",
    "there,",
    "(and)",
    "42",
    "a.b",
    "1 234",
    "x@",
    "-----",
    "sk-",
    "é",
    "\n",
    "PRJ-77",
]
SOME = [text for texts in (*REAL.values(), *UNREAL.values()) for text in texts]
PARTS = st.lists(st.sampled_from([*WORDS, *SOME]), max_size=12)
APART = PARTS.map(", ".join)
"""Texts in which nothing that is found touches another."""
TEXTS = PARTS.flatmap(
    lambda parts: st.lists(
        st.sampled_from([" ", "", ", ", "\n", "-", "."]), min_size=len(parts), max_size=len(parts)
    ).map(lambda gaps: "".join(p + g for p, g in zip(parts, gaps, strict=True)))
)


def event(text: str) -> bytes:
    chunk = {"id": "c-1", "choices": [{"index": 0, "delta": {"content": text}}]}
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def text_of(stream: bytes) -> str:
    found = [orjson.loads(b[6:]) for b in stream.split(b"\n\n") if b.startswith(b"data: {")]
    return "".join(each["choices"][0]["delta"]["content"] for each in found)


def cut(text: str, cuts: list[int]) -> list[str]:
    places = sorted({0, len(text), *(each % (len(text) + 1) for each in cuts)})
    return [text[a:b] for a, b in pairwise(places)]


@pytest.mark.parametrize("screen", [SCREEN, WITH_PATTERN], ids=["detectors", "pattern"])
@given(TEXTS, st.lists(st.integers(0, 2000), max_size=30), st.integers(1, 200))
@settings(max_examples=200, deadline=None)
def test_split_anywhere_the_same_is_masked(
    screen: Screen, text: str, cuts: list[int], size: int
) -> None:
    whole = MASKS.applied(text, screen.find(text))
    stream = b"".join(map(event, cut(text, cuts))) + b"data: [DONE]\n\n"
    held = HeldStream(Growing(screen, MASKS), lines=False)
    pieces = [held.feed(stream[at : at + size]) for at in range(0, len(stream), size)]
    shown = b"".join(pieces) + held.finish()
    assert text_of(shown) == whole
    assert shown.endswith(b"data: [DONE]\n\n")


@given(APART)
@settings(max_examples=200, deadline=None)
def test_masking_is_idempotent(text: str) -> None:
    once = MASKS.applied(text, SCREEN.find(text))
    assert MASKS.applied(once, SCREEN.find(once)) == once


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | APART | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(APART, inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
@settings(max_examples=200, deadline=None)
def test_valid_json_stays_valid_json_of_the_same_shape(value: Any) -> None:
    data = orjson.dumps(value)
    result = screened(data, SCREEN, MASKS)
    masked = orjson.loads(result.data)
    assert shape(masked) == shape(value)
    assert result.changed or result.data == data
    again = screened(result.data, SCREEN, MASKS)
    assert not again.changed


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted(str(shape(each)) for each in value.values())
    if isinstance(value, list):
        return [shape(each) for each in value]
    return "text" if isinstance(value, str) else value


@given(TEXTS)
@settings(max_examples=200, deadline=None)
def test_masks_are_no_findings(text: str) -> None:
    once = MASKS.applied(text, SCREEN.find(text))
    found = [once[span.start : span.end] for span in SCREEN.find(once)]
    assert not any("[" in each or "]" in each for each in found)


@given(st.binary(max_size=300))
def test_any_bytes_are_looked_through(data: bytes) -> None:
    result = screened(data, SCREEN, MASKS)
    assert result.changed or result.data == data


def test_what_needs_no_change_leaves_byte_for_byte() -> None:
    stream = (
        b': a comment\n\nevent: message\r\ndata: {"a" : 1}\r\n\r\n'
        + event("Hello there")
        + b'data: no json\n\ndata: {"choices": [ {"delta": {"content": "!"}} ]}\n\nrest'
    )
    assert through(stream, SCREEN, MASKS, lines=False).data == stream


def test_other_lines_of_a_changed_event_stay() -> None:
    raw = b'id: 7\r\nevent: delta\r\ndata: {"text":"a.b@example.org "}\r\n\r\n'
    shown = through(raw, SCREEN, MASKS, lines=False).data
    assert shown.startswith(b'id: 7\nevent: delta\ndata: {"text":"[EMAIL-')


def test_choices_by_turns_do_not_mix() -> None:
    def turn(index: int, text: str) -> bytes:
        chunk = {"choices": [{"index": index, "delta": {"content": text}}]}
        return b"data: " + orjson.dumps(chunk) + b"\n\n"

    halves = [(0, "ana.b@exa"), (1, "4111 1111 "), (0, "mple.org "), (1, "1111 1111 ")]
    shown = through(b"".join(turn(*half) for half in halves), SCREEN, MASKS, lines=False)
    assert sorted(wanted.name for wanted in shown.seen) == ["card", "email"]
    assert b"mple.org" not in shown.data
    assert b"1111" not in shown.data


def test_a_text_that_got_nothing_for_long_holds_nothing_back() -> None:
    held = HeldStream(Growing(SCREEN, MASKS), lines=False)
    other = b'data: {"choices":[{"index":1,"delta":{"content":"word "}}]}\n\n'
    shown = held.feed(event("half-a-word"))
    assert shown == b""
    for _ in range(40):
        shown += held.feed(other)
    assert shown.startswith(event("half-a-word") + other)


def test_images_are_not_cut() -> None:
    image = "data:image/png;base64," + "AKIAIOSFODNN7EXAMPLE" * 100
    data = orjson.dumps({"image_url": image})
    assert not screened(data, SCREEN, MASKS).changed


def test_a_number_in_the_last_words_waits_for_the_next() -> None:
    held = HeldStream(Growing(SCREEN, MASKS), lines=False)
    assert held.feed(event("pay with ")) != b""
    assert b"".join(held.feed(event(part)) for part in ("4111 ", "1111 1111 ", "1111")) == b""
    assert text_of(held.feed(event(" thanks "))).startswith("[CARD-")
