"""A cut object never says what the whole one does not."""

import json

from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.partial import head_members, tail_levels

TEXT = st.text(st.sampled_from('ab"\\{}[]:, é\n'), max_size=6)
LEAVES = st.none() | st.booleans() | st.integers(-99999, 99999) | TEXT
VALUES = st.recursive(
    LEAVES, lambda v: st.lists(v, max_size=3) | st.dictionaries(TEXT, v, max_size=3)
)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=5)


def test_members_before_the_cut_are_read_and_the_cut_one_is_not():
    cut = b'{"id": "a\\"b", "n": 12, "usage": {"x": [1, 2]}, "count": 12'
    assert head_members(cut) == {"id": 'a"b', "n": 12, "usage": {"x": [1, 2]}}


def test_members_after_the_cut_are_read_level_by_level():
    cut = b'en"}], "usage": {"in": 1}, "done": true}, "number": 9}\n'
    assert tail_levels(cut) == [{"number": 9}, {"usage": {"in": 1}, "done": True}, {}]


def test_a_key_in_a_string_is_no_key():
    cut = b'{"said": "\\"usage\\": {\\"in\\": 1}", "model": "m"}'
    assert tail_levels(cut[12:]) == [{"model": "m"}]
    assert head_members(cut[:30]) == {}


def test_a_quote_at_the_very_cut_may_be_an_escaped_one():
    whole = b'{"a\\"b": 1, "c": 2}'
    assert tail_levels(whole[whole.index(b'"b') :]) == [{"c": 2}]


@given(OBJECTS, st.integers(0, 400), st.booleans())
def test_both_ends_of_any_cut_object_agree_with_the_whole(whole, cut, spaced):
    data = json.dumps(whole, separators=None if spaced else (",", ":")).encode()
    cut = min(cut, len(data))
    for key, value in head_members(data[:cut]).items():
        assert whole[key] == value
    if cut:
        for key, value in (tail_levels(data[cut:]) or [{}])[0].items():
            assert whole[key] == value


@given(st.dictionaries(st.text(st.sampled_from("abc"), min_size=1), VALUES, max_size=5))
def test_a_whole_object_is_read_from_its_beginning(whole):
    assert head_members(json.dumps(whole).encode()) == whole


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_an_error(data):
    head_members(data)
    tail_levels(data)
