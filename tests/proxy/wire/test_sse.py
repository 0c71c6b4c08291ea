"""Events come out the same however the bytes arrive."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.sse import Event, EventSplitter


def split(*pieces: bytes) -> list[Event]:
    splitter = EventSplitter()
    events = [event for piece in pieces for event in splitter.feed(piece)]
    return events + splitter.flush()


def test_an_event_has_its_name_and_its_data():
    assert split(b"event: ping\ndata: {}\n\n") == [Event(b"ping", b"{}")]


def test_data_lines_are_joined_and_one_space_is_dropped():
    assert split(b"data:  a\ndata:b\ndata\n\n") == [Event(None, b" a\nb\n")]


def test_comments_and_events_without_data_are_no_events():
    assert split(b": PROCESSING\n\nevent: ping\n\ndata: x\n\n") == [Event(None, b"x")]


def test_all_line_ends_mean_the_same():
    expected = [Event(b"n", b"1"), Event(None, b"2")]
    for end in (b"\n", b"\r\n", b"\r"):
        assert split(b"event: n\ndata: 1\n\ndata: 2\n\n".replace(b"\n", end)) == expected


def test_the_last_event_may_lack_its_blank_line():
    assert split(b"data: 1\n\ndata: 2") == [Event(None, b"1"), Event(None, b"2")]
    assert split(b"data: 1\r\n\r") == [Event(None, b"1")]


def test_a_byte_order_mark_is_no_part_of_the_first_field():
    assert split(b"\xef\xbb", b"\xbfdata: 1\n\n") == [Event(None, b"1")]


def test_an_event_under_way_is_forgotten_at_a_gap():
    splitter = EventSplitter()
    splitter.feed(b"data: 1\n\ndata: {lost")
    splitter.gap()
    assert splitter.feed(b"rest}\n\ndata: 2\n\n")[-1] == Event(None, b"2")


LINES = st.lists(
    st.sampled_from([b"data: {}", b"data:x", b"event: e", b": c", b"", b"", b"id: 7", b"\xc3\xa9"]),
    max_size=20,
)


@given(LINES, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.lists(st.integers(0, 200), max_size=8))
def test_any_split_gives_the_same_events(lines, end, cuts):
    stream = end.join(lines)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(edges)]
    assert split(*pieces) == split(stream)


@given(st.binary(max_size=200))
def test_any_bytes_are_split_without_an_error_and_byte_by_byte_alike(stream):
    assert split(*(stream[n : n + 1] for n in range(len(stream)))) == split(stream)
