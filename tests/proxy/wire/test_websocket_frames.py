"""Messages from the bytes of a WebSocket, framed by another implementation."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire import websocket_frames
from proxy.wire.websocket_frames import read_messages
from tests.support.websocket_traffic import Direction

KINDS = [
    {},
    {"masked": True},
    {"deflated": True},
    {"deflated": True, "masked": True},
    {"deflated": True, "fresh": True},
]
MESSAGES = [b"", b"short", b"two bytes of length " * 30, b"eight bytes of length " * 4_000]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fragments", [1, 3])
def test_messages_of_every_length_are_read(kind, fragments):
    messages = read_messages([Direction(**kind).stream(MESSAGES * 2, fragments)])
    assert messages.found == MESSAGES * 2
    assert messages.parse_error is None


@given(
    st.lists(st.binary(max_size=300), max_size=8),
    st.sampled_from(KINDS),
    st.integers(1, 4),
    st.integers(0, 2_000),
)
def test_a_cut_stream_gives_the_messages_before_the_cut(messages, kind, fragments, cut):
    whole = Direction(**kind).stream(messages, fragments)
    assert read_messages([whole]).found == messages
    read = read_messages([whole[:cut]])
    assert read.found == messages[: len(read.found)]
    assert read.parse_error is None


def test_control_frames_pass_between_fragments():
    side = Direction(deflated=True)
    first, *others = side.frames(b"in several pieces", fragments=3)
    data = first + side.ping() + b"".join(others) + side.close(1008, "too much")
    messages = read_messages([data])
    assert messages.found == [b"in several pieces"]
    assert messages.closed == (1008, "too much")


@pytest.mark.parametrize("kind", [{}, {"masked": True}, {"deflated": True, "fresh": True}])
def test_behind_a_gap_reading_goes_on_with_the_next_frame(kind):
    texts = [f'{{"number": {number}, "text": "{"x" * number}"}}'.encode() for number in range(40)]
    frames = [b"".join(Direction(**kind).frames(text)) for text in texts]
    data = b"".join(frames)
    for lost in range(len(frames[3]), len(frames[3]) + 40):
        cut = len(b"".join(frames[:20])) - 5
        messages = read_messages([data[:cut], data[cut + lost :]])
        assert messages.parse_error == "frames are missing"
        assert messages.found[:19] == texts[:19]
        behind = messages.found[19:]
        assert behind == texts[-len(behind) :]
        assert len(behind) >= 16


def test_bytes_made_to_look_like_frames_are_given_up(monkeypatch):
    monkeypatch.setattr(websocket_frames, "_TRIED_FRAMES", 50)
    frames = b"".join(Direction().frames(b"{}"))
    assert read_messages([b"", bytes(98) + b"\xff\xff" + frames * 9]).found == []
    monkeypatch.setattr(websocket_frames, "_TRIED_FRAMES", 100_000)
    assert read_messages([b"", bytes(98) + b"\xff\xff" + frames * 9]).found == [b"{}"] * 9


def test_behind_a_gap_a_message_that_needs_the_lost_window_is_not_guessed():
    texts = [b"the same words again and again, number %d" % number for number in range(20)]
    side = Direction(deflated=True)
    frames = [b"".join(side.frames(text)) for text in texts]
    messages = read_messages([b"".join(frames[:5]), b"".join(frames[8:])])
    assert messages.found == texts[:5]
    assert messages.unreadable == 12


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=3))
def test_no_bytes_make_it_raise(segments):
    read_messages(segments)


@pytest.mark.parametrize(
    "data",
    [
        b"\x83\x00",  # an unknown opcode
        b"\xa1\x00",  # a reserved bit
        b"\x09\x00",  # a control frame in pieces
        b"\x81\x7e\x00\x05hello",  # a length that is not the shortest
        b"\xc1\x03\xff\xff\xff",  # compressed, but not deflate
    ],
)
def test_what_is_no_frame_is_counted(data):
    assert read_messages([data]).parse_error == "1 unreadable messages"


def test_a_message_that_inflates_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(websocket_frames, "MAX_MESSAGE_BYTES", 1_000)
    codec = zlib.compressobj(wbits=-15)
    bomb = codec.compress(bytes(1_000_000)) + codec.flush(zlib.Z_SYNC_FLUSH)
    frame = b"\xc1\x7e" + len(bomb[:-4]).to_bytes(2) + bomb[:-4]
    assert read_messages([frame + frame]).unreadable == 2
