"""An array that is sent element by element may end anywhere."""

import json

from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.json_array import elements, last_element

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
