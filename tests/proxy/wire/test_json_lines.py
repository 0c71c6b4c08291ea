"""One JSON value a line."""

import pytest

from proxy.wire.json_lines import Line, Lines

STREAM = b'{"n":1}\n{"n":2,"key":1}\n{"n":3}\n{"n":4}\n'


def members(lines):
    return [line.members for line in lines]


def test_all_lines_are_read():
    assert members(Lines([STREAM]).all()) == [{"n": 1}, {"n": 2, "key": 1}, {"n": 3}, {"n": 4}]


def test_only_telling_lines_and_the_edges_are_read():
    assert members(Lines([STREAM]).telling([b'"key"'])) == [{"n": 1}, {"n": 2, "key": 1}, {"n": 4}]
    assert members(Lines([STREAM * 2]).telling([])) == [{"n": 1}, {"n": 4}]


@pytest.mark.parametrize("end", [b"\r\n", b"\n\n", b"\n \n"])
def test_line_ends_and_blank_lines_do_not_matter(end):
    assert members(Lines([STREAM.replace(b"\n", end)]).all()) == members(Lines([STREAM]).all())


def test_a_document_over_several_lines_is_one():
    lines = Lines([b'{\n  "a": 1,\n  "b": {\n    "c": 2\n  }\n}\n'])
    assert lines.is_document
    assert members(lines.telling([])) == [{"a": 1, "b": {"c": 2}}]


def test_a_cut_line_gives_its_complete_members():
    lines = Lines([b'{"n":1}\n{"a":2,"b":3,"c":"cut'])
    assert list(lines.all()) == [Line({"n": 1}), Line({"a": 2, "b": 3}, is_torn=True)]
    assert lines.unreadable == 0


def test_the_tail_behind_a_gap_gives_its_complete_members():
    lines = Lines([b'{"n":1}\n{"n":2}\n{"text":"be', b'hind","a":2,"b":3}\n{"n":9}\n'])
    found = list(lines.telling([]))
    assert Line({"a": 2, "b": 3}, is_torn=True) in found
    assert found[-1] == Line({"n": 9})


def test_unreadable_lines_are_counted():
    lines = Lines([b'{"n":1}\n{oops}\nno object\n{"n":2}\n'])
    assert members(lines.all()) == [{"n": 1}, {"n": 2}]
    assert lines.unreadable == 1
