"""A copy is collected in pieces, and read as what it is."""

from proxy.facts import ReplyFacts
from proxy.wire.copies import Copy, CopyReader, documents


def test_pieces_and_gaps_become_segments():
    seen: list[Copy] = []

    def interpret(copy: Copy) -> ReplyFacts:
        seen.append(copy)
        return ReplyFacts(model="m")

    reader = CopyReader(interpret)
    for piece in (b"a", b"b"):
        reader.feed(piece)
    reader.gap()
    reader.feed(b"c")
    assert reader.finish().model == "m"
    assert seen == [Copy((b"ab", b"c"))]


def test_a_fault_in_a_reader_becomes_a_parse_error():
    def broken(_: Copy) -> ReplyFacts:
        raise KeyError("x")

    reader = CopyReader(broken)
    reader.feed(b"{}")
    assert "KeyError" in (reader.finish().parse_error or "")


def test_events_that_a_gap_cut_are_left_out():
    copy = Copy((b"data: 1\n\ndata: 2", b"3\n\ndata: 4\n\n"))
    assert [block for block in copy.blocks() if block] == [b"data: 1", b"data: 4"]


def test_of_a_torn_event_the_members_behind_the_gap_are_certain():
    assert Copy((b"data: 1", b'ta: {"a": 1}\n\n')).torn() == [{"a": 1}]
    assert Copy((b"data: 1", b'b", "c": {"d": 2}}\n\n')).torn() == [{"c": {"d": 2}}]
    assert Copy((b"data: 1", b"3\n\n")).torn() == []
    assert Copy((b"data: 1\n\n",)).torn() == []


def test_a_document_with_a_gap_keeps_the_members_at_both_ends():
    document = Copy((b'{"a": 1, "b": "cu', b't", "c": {"d": 2}}')).document()
    assert document.value == {"a": 1, "c": {"d": 2}}
    assert document.parse_error


def test_events_without_blank_lines_between_them_are_read_line_by_line():
    assert documents(b'data: {"a":1}\ndata: {"b":2}\ndata: [DONE]') == ([{"a": 1}, {"b": 2}], True)
    assert documents(b'data: {"a":') == ([], False)
    assert documents(b"data: [DONE]") == ([], True)
