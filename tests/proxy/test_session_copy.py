"""The bounded copy of one direction of a WebSocket session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.reading import Copied
from proxy.session_copy import LONGEST_BYTES, SessionCopy
from proxy.wire.websocket_frames import Messages, read_messages
from tests.support.websocket_traffic import Direction

KEYS = (b'"usage"',)
LIMIT = 4_000
SOUND = b'{"sound": "' + b"AbC1" * 60 + b'"}'
MOST = 60
"""So many messages with usage fit into what is kept free for them."""


def told(number: int) -> bytes:
    return b'{"usage": %d}' % number


def split(data: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    at = number = 0
    while at < len(data):
        size = sizes[number % len(sizes)]
        yield data[at : at + size]
        at, number = at + size, number + 1


def copied(data: bytes, sizes: Sequence[int] = (997,), limit: int = LIMIT) -> SessionCopy:
    copy = SessionCopy(limit, KEYS)
    for piece in split(data, sizes):
        copy.add(piece)
    assert copy.total == len(data)
    return copy


def kept(copy: SessionCopy) -> bytes:
    return copy.take() + copy.tail()


def read(copy: SessionCopy) -> Messages:
    return read_messages(Copied(kept(copy), copy.gap).segments())


def telling(messages: Sequence[bytes]) -> list[bytes]:
    return [message for message in messages if KEYS[0] in message]


sessions = st.lists(st.one_of(st.just(SOUND), st.integers(0, 99).map(told)), max_size=MOST)
pieces = st.lists(st.integers(1, 400), min_size=1, max_size=5)


@given(sessions, pieces, st.booleans(), st.booleans(), st.integers(1, 3))
def test_every_telling_message_of_a_long_session_is_kept(
    messages: list[bytes], sizes: list[int], masked: bool, deflated: bool, fragments: int
) -> None:
    side = Direction(masked=masked, deflated=deflated)
    data = side.stream(messages, fragments) + side.close(1000, "bye")
    copy = copied(data, sizes)
    size = len(kept(copied(data, sizes)))
    found = read(copy)
    assert size <= LIMIT
    assert (found.parse_error, found.closed) == (None, (1000, "bye"))
    assert telling(found.found) == telling(messages)


@given(sessions, pieces, st.booleans(), st.data())
def test_a_session_that_breaks_off_has_what_was_seen(
    messages: list[bytes], sizes: list[int], masked: bool, draw: st.DataObject
) -> None:
    data = Direction(masked=masked).stream(messages)
    cut = draw.draw(st.integers(0, len(data)))
    found = read(copied(data[:cut], sizes))
    whole = read_messages([data[:cut]])
    assert found.parse_error is None
    assert telling(found.found) == telling(whole.found)


@given(st.binary(max_size=9_000), pieces, st.integers(0, 3_000))
@example(b"\x03" + bytes(8_000), [1], 0)
def test_bytes_that_are_no_frames_are_copied_within_the_limit(
    noise: bytes, sizes: list[int], limit: int
) -> None:
    copy = copied(noise, sizes, limit)
    gap, data = copy.gap, kept(copied(noise, sizes, limit))
    assert len(data) <= max(limit, 0) + 40
    if gap is None:
        assert data == noise


def test_a_short_session_is_copied_as_it_passed() -> None:
    data = Direction(masked=True, deflated=True).stream([told(1), SOUND, told(2)])
    copy = copied(data, (3,))
    assert copy.gap is None
    assert kept(copy) == data


def test_what_is_left_out_is_no_gap() -> None:
    data = Direction().stream([told(1), *[SOUND] * 50, told(2)])
    copy = copied(data)
    found = read(copy)
    assert copy.gap is not None
    assert found.found[0] == told(1)
    assert found.found[-1] == told(2)
    assert found.found.count(SOUND) < 50
    assert not found.has_gap


def test_more_than_fits_is_a_loss_and_says_so() -> None:
    data = Direction().stream([told(n) for n in range(1_000)])
    found = read(copied(data))
    assert found.has_gap
    assert len(telling(found.found)) < 1_000


@pytest.mark.parametrize(("limit", "is_lost"), [(8 << 20, False), (1 << 20, True)])
def test_a_message_too_long_to_be_looked_at_is_a_loss(limit: int, is_lost: bool) -> None:
    long = b'{"usage": "' + b"x" * (LONGEST_BYTES + 1) + b'"}'
    data = Direction().stream([told(1), long, told(2)])
    assert read(copied(data, (65_536,), limit)).has_gap is is_lost


def test_a_compressed_window_that_was_lost_is_a_loss() -> None:
    side = Direction(deflated=True)
    vast = bytes(LONGEST_BYTES + 1)
    data = side.stream([vast, *[SOUND + b"%d" % n for n in range(900)], told(1), told(2)])
    found = read(copied(data, limit=2_000))
    assert found.has_gap


def test_a_message_that_begins_within_the_limit_and_goes_beyond_is_a_loss() -> None:
    data = Direction().stream([b'{"usage": 1, "x": "' + b"y" * 9_000 + b'"}'], 40)
    assert read(copied(data)).has_gap


def test_reading_on_goes_from_where_it_was_taken() -> None:
    data = Direction().stream([told(1), *[SOUND] * 50, told(2)])
    whole, copy = kept(copied(data)), SessionCopy(LIMIT, KEYS)
    taken = b""
    for piece in split(data, (100,)):
        copy.add(piece)
        taken += copy.take()
    assert taken + copy.tail() == whole
