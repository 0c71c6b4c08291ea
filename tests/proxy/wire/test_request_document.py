"""A request's document, or what is certain of it."""

from proxy.wire.request_document import read_document


def test_a_whole_document_is_read_without_complaint():
    assert read_document(b'{"a": 1}') == ({"a": 1}, None)
    assert read_document(b"") == ({}, None)


def test_a_document_that_was_cut_keeps_the_members_before_the_cut():
    members, reason = read_document(b'{"a": 1, "b": [{"x": "y')
    assert members == {"a": 1}
    assert reason


def test_a_document_with_a_hole_keeps_the_members_on_both_sides():
    members, reason = read_document(b'{"a": 1, "b": {"x": "y", "z", "w": 1}, "c": 3}')
    assert (members["a"], members["c"]) == (1, 3)
    assert reason


def test_anything_but_an_object_is_refused():
    assert read_document(b"[1]") == ({}, "request: not a JSON object")
