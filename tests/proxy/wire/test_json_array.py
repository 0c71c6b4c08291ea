"""An array that is sent element by element may end anywhere."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.json_array import elements, elements_with, last_element

CHUNKS = [{"a": '] } , [ { \\" \n,'}, {"a": [1, {"b": 2}]}, {"a": None}]


def test_a_whole_array_has_an_end():
    assert elements(json.dumps(CHUNKS).encode()) == (CHUNKS, True)


def test_each_cut_leaves_the_elements_before_it():
    for text in (json.dumps(CHUNKS), json.dumps(CHUNKS, indent=1), json.dumps(CHUNKS, indent=None)):
        ends = [len(json.dumps(CHUNKS[:n])) for n in range(len(CHUNKS) + 1)]
        for cut in range(len(text)):
            found, ended = elements(text[:cut].encode())
            assert found == CHUNKS[: len(found)]
            assert not ended
            if "\n" not in text:
                assert len(found) >= sum(end < cut for end in ends[1:])


def test_the_usual_layout_is_cut_at_lines_that_begin_with_a_comma():
    text = b"[" + b"\n,\r\n".join(json.dumps(chunk).encode() for chunk in CHUNKS)
    assert elements(text[:-3]) == (CHUNKS[:2], False)


def test_a_string_left_open_hides_what_looks_like_elements():
    assert elements(b'[{"a": 1}, {"b": "{} ], {\\"c\\": 1}') == ([{"a": 1}], False)


def test_the_last_element_of_a_tail_is_known_only_where_it_began_after_the_cut():
    assert last_element(b'"x": 1}, {"a": {"a": 2}}]\n', "a") == {"a": {"a": 2}}
    assert last_element(b'{"a": 2}}]', "a") is None
    assert last_element(b'"x": 2}]', "a") is None
    assert last_element(b'{"a": 2}', "a") is None


@given(st.binary(max_size=80))
def test_no_bytes_make_it_raise(data):
    elements(b"[" + data)
    last_element(data + b"]", "a")


def laid_out(*texts: str) -> bytes:
    return b"[" + b"\n,\r\n".join(json.dumps({"t": text}).encode() for text in texts) + b"\n]"


def test_of_a_long_array_only_what_says_something_is_read():
    data = laid_out(*"abcdefgh", 'not "key": 1').replace(b'"c"', b'{"key": 1}')
    found, ended = elements_with(data, [b'"key"'])
    assert ended
    assert [element["t"] for element in found] == ["a", {"key": 1}, "h", 'not "key": 1']


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 9, 11])
def test_a_cut_long_array_ends_with_its_last_complete_elements(cut):
    found, ended = elements_with(laid_out(*"abcdefghijkl")[:-cut], [])
    assert not ended
    last = ["k", "l"] if cut < 3 else ["j", "k"]
    assert [element["t"] for element in found] == ["a", *last]


@pytest.mark.parametrize(
    "data",
    [
        laid_out("a", "b"),
        json.dumps([{"t": "a"}] * 20).encode(),
        b"[" + b"\n,\r\n".join([b'{"t": [1', b"2]}"] * 10) + b"\n]",
        b"[" + b"\n,\r\n".join([b'{"t": 1}'] * 10 + [b"broken"]) + b"\n]",
        b"\n,".join([b"{}"] * 20),
        b"",
    ],
)
def test_any_other_array_is_left_to_be_read_whole(data):
    assert elements_with(data, []) is None
