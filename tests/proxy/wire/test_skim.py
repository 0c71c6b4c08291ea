"""Skimming finds every event that has one of the keys."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.skim import events_with, first_events

EVENTS = [
    b'data: {"a":1}',
    b'data: {"end":null}',
    b'data: {"end":"stop"}',
    b'data: {"end": null}',
    b'data: {"text":"\\"end\\":1"}',
    b": comment",
]


@given(st.lists(st.sampled_from(EVENTS), max_size=12))
def test_every_event_whose_key_is_not_empty_is_found_in_order(events):
    found = list(events_with(b"\n\n".join(events), keys=(), nullable=(b'"end"',)))
    telling = [event for event in events if b'"stop"' in event]
    assert [event for event in found if b'"stop"' in event] == telling


def test_the_last_event_is_always_found():
    assert list(events_with(b"data: a\n\ndata: b\n\n", keys=())) == [b"data: b"]


def test_of_cumulative_keys_the_last_two_events_are_found():
    stream = b"".join(b'data: {"usage":%d}\n\n' % n for n in range(5))
    found = list(events_with(stream, keys=(), cumulative=(b'"usage"',)))
    assert found == [b'data: {"usage":3}', b'data: {"usage":4}']


def test_the_beginning_ends_when_enough_is_known_and_comments_do_not_count():
    stream = b": c\n\n" * 40 + b"data: 1\n\ndata: 2\n\ndata: 3\n\n"
    seen: list[bytes] = []
    for block in first_events(stream, lambda: b"data: 2" in seen):
        seen.append(block)
    assert seen[-2:] == [b"data: 1", b"data: 2"]
