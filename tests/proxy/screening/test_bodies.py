"""Bodies: what the quick look lets pass has nothing in it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.screening.bodies import screened
from proxy.screening.detectors import NAMES, Name
from proxy.screening.leaves import LABELS
from proxy.screening.masks import Masks
from proxy.screening.screen import Screen, Wanted
from tests.proxy.screening.test_detectors import REAL

MASKS = Masks(lambda value: f"{len(value):016x}")
SCREEN = Screen(Wanted(name, "mask", "rule") for name in NAMES)
FINDINGS = [value for values in REAL.values() for value in values]
WORDS = st.one_of(st.sampled_from(FINDINGS), st.text(max_size=12))
TEXTS = st.lists(WORDS, max_size=4).flatmap(
    lambda words: st.sampled_from([" ", "\n", '"', "\\", "/", "é", ""]).map(
        lambda by: by.join(words)
    )
)
BODIES = st.recursive(
    st.one_of(TEXTS, st.integers(-(2**60), 2**60), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)


@given(st.dictionaries(TEXTS, BODIES))
def test_what_the_quick_look_lets_pass_has_nothing_in_it(body: Any) -> None:
    data = orjson.dumps(body)
    if SCREEN.clears(data):
        assert not screened(data, SCREEN, MASKS).seen


@given(st.binary(max_size=40), st.sampled_from(FINDINGS), st.binary(max_size=40))
def test_what_is_no_json_is_looked_through(before: bytes, finding: str, after: bytes) -> None:
    data = b"{" + before + finding.encode() + after
    assert screened(data, SCREEN, MASKS, LABELS) == screened(data, SCREEN, MASKS)


@pytest.mark.parametrize("name", NAMES)
def test_a_finding_is_never_let_pass(name: Name) -> None:
    for value in REAL[name]:
        assert not SCREEN.clears(orjson.dumps({"messages": [{"content": f"see\n{value}\n"}]}))
        assert screened(orjson.dumps({"text": value}), SCREEN, MASKS, LABELS).changed


def test_an_ordinary_request_passes_at_once() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"What is \\"a\\" tea?\\nSay it."}]}'
    assert SCREEN.clears(body)
    assert not SCREEN.clears(body.replace(b"tea", rb"te\u0061"))
    assert not SCREEN.clears(body.replace(b"tea", rb"\\tea"))
