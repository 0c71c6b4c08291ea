"""JSON that providers send although it is none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.decode import loads, starts_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_good_json_is_read_as_it_is(value):
    assert loads(json.dumps(value).encode()) == value


def test_half_a_surrogate_pair_becomes_a_replacement_character():
    assert loads(rb'["\ud83d", "\ud83d\ude00", "\\ud83d"]') == ["�", "😀", r"\ud83d"]


def test_nan_is_none_and_bad_bytes_are_replaced():
    assert loads(b'{"a": NaN, "b": "\xff", "c": "x\ny"}') == {"a": None, "b": "�", "c": "x\ny"}


def test_what_is_no_json_raises_value_error():
    for data in (b"", b"{", b"plain words", b"[" * 100_000):
        with pytest.raises(ValueError):  # noqa: PT011 the kind is the promise
            loads(data)


def test_json_is_told_by_its_first_character():
    assert starts_json(b" \n{")
    assert starts_json(b"\xef\xbb\xbf[1]")
    assert not starts_json(b"data: {}")
    assert not starts_json(b"")
