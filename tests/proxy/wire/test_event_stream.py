"""The framing of AWS event streams."""

from struct import pack
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.event_stream import Message, MessageSplitter, payload_of
from tests.support.event_messages import event, message

FIRST = message({":event-type": "first", ":message-type": "event"}, b'{"n":1}')
SECOND = message({":event-type": "second"}, b"")
THIRD = message({":event-type": "third"}, b"\0\0\0 zeros and more \0")
STREAM = FIRST + SECOND + THIRD


def names(messages):
    return [each.event for each in messages]


def test_messages_have_headers_and_payload():
    assert MessageSplitter().feed(FIRST) == [
        Message({":event-type": "first", ":message-type": "event"}, b'{"n":1}')
    ]


def test_any_split_gives_the_same_messages():
    whole = MessageSplitter().feed(STREAM)
    assert names(whole) == ["first", "second", "third"]
    for size in (1, 2, 11, 12, 13, 40):
        splitter = MessageSplitter()
        pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
        assert [each for piece in pieces for each in splitter.feed(piece)] == whole
        assert not splitter.is_torn
        assert splitter.skipped_bytes == 0


def test_a_cut_stream_gives_the_messages_before_the_cut():
    for cut in range(len(STREAM)):
        splitter = MessageSplitter()
        found = names(splitter.feed(STREAM[:cut]))
        ends = [len(FIRST), len(FIRST + SECOND)]
        assert found == ["first", "second"][: sum(cut >= end for end in ends)]
        assert splitter.is_torn == (cut not in (0, *ends))
        assert splitter.skipped_bytes == 0


def test_behind_a_gap_the_next_whole_message_is_found():
    for start in range(len(FIRST), len(STREAM)):
        splitter = MessageSplitter()
        splitter.feed(FIRST[:-3])
        splitter.gap()
        expected = ["second", "third"] if start == len(FIRST) else ["third"]
        if start > len(FIRST + SECOND):
            expected = []
        assert names(splitter.feed(STREAM[start:])) == expected
        assert splitter.skipped_bytes == 0


def test_a_corrupt_message_is_skipped_and_counted():
    for spot in range(len(SECOND)):
        corrupt = bytearray(SECOND)
        corrupt[spot] ^= 0x41
        splitter = MessageSplitter()
        assert names(splitter.feed(FIRST + bytes(corrupt) + THIRD)) == ["first", "third"]
        assert splitter.skipped_bytes == len(SECOND)


def test_a_length_without_its_checksum_is_not_believed():
    splitter = MessageSplitter()
    huge = pack(">II", 0xFFFFFF, 0) + b"\0\0\0\0"
    assert names(splitter.feed(huge + FIRST)) == ["first"]
    assert splitter.skipped_bytes == len(huge)


@pytest.mark.parametrize("length", [0, 15, 20])
def test_a_length_that_cannot_be_is_not_believed(length):
    prelude = pack(">II", length, 8)
    content = prelude + pack(">I", crc32(prelude))
    assert names(MessageSplitter().feed(content + FIRST)) == ["first"]


def test_headers_of_all_types_are_passed_over():
    fixed = [(0, b""), (1, b""), (2, b"x"), (3, b"xx"), (4, b"x" * 4), (5, b"x" * 8)]
    fixed += [(6, b"\0\x03abc"), (8, b"x" * 8), (9, b"x" * 16)]
    before = b"".join(b"\x01h" + bytes([kind]) + value for kind, value in fixed)
    assert names(MessageSplitter().feed(message({":event-type": "e"}, b"", before))) == ["e"]


def test_headers_that_make_no_sense_do_no_harm():
    for before in (b"\x01h\x63", b"\xff", b"\x01h\x07\xff\xff"):
        (found,) = MessageSplitter().feed(message({":event-type": "e"}, b"p", before))
        assert found.payload == b"p"


def test_bytes_made_to_be_looked_at_for_ever_are_given_up():
    prelude = pack(">II", 0xFFFF0, 0)
    bait = prelude + pack(">I", crc32(prelude))
    assert MessageSplitter().feed(bait * 200_000 + bytes(1 << 20) + FIRST) == []


@given(st.binary(max_size=300), st.integers(0, 300))
def test_no_bytes_make_it_raise(data, cut):
    splitter = MessageSplitter()
    splitter.feed(data[:cut])
    splitter.feed(data[cut:])
    splitter.gap()
    assert names(splitter.feed(b"\x01" * 20 + FIRST)) == ["first"]


@given(st.lists(st.tuples(st.text("abc", min_size=1, max_size=9), st.binary(max_size=50))))
def test_another_decoder_reads_the_same(parts):
    eventstream = pytest.importorskip("botocore.eventstream")
    data = b"".join(message({":event-type": name}, payload) for name, payload in parts)
    buffer = eventstream.EventStreamBuffer()
    buffer.add_data(data)
    theirs = [(each.headers, each.payload) for each in buffer]
    assert [tuple(each) for each in MessageSplitter().feed(data)] == theirs


def texts_of(data, pieces, known=0):
    splitter = MessageSplitter(lambda told: known if told.event == "text" else None)
    found = [each for piece in pieces(data) for each in splitter.feed(piece)]
    return names(found), [payload_of(each) for each in splitter.texts], splitter.skipped_bytes


def test_messages_that_only_bring_text_are_set_aside():
    said = [event("text", {"said": number}) for number in range(3)]
    data = FIRST + said[0] + said[1] + SECOND + said[2] + THIRD
    for size in (1, 7, 60, len(data)):
        told, texts, skipped = texts_of(
            data, lambda whole, size=size: [whole[n : n + size] for n in range(0, len(whole), size)]
        )
        assert told == ["first", "second", "third"]
        assert texts == [b'{"said":0}', b'{"said":1}', b'{"said":2}']
        assert skipped == 0


def test_a_message_that_goes_on_otherwise_is_looked_at():
    data = event("text", {"a": 1}) + event("text", {"b": 1}) + event("text", {"a": 2})
    splitter = MessageSplitter(lambda told: 4 if b'{"a"' in told.payload else None)
    assert [each.payload for each in splitter.feed(data)] == [b'{"b":1}']
    assert [payload_of(each) for each in splitter.texts] == [b'{"a":1}', b'{"a":2}']


def test_a_corrupt_text_has_no_words():
    said = event("text", {"said": 1})
    corrupt = said[:-6] + bytes([said[-6] ^ 1]) + said[-5:]
    told, texts, skipped = texts_of(said + corrupt + said + FIRST, lambda whole: [whole])
    assert (told, texts, skipped) == (["first"], [b'{"said":1}', b"", b'{"said":1}'], 0)


@pytest.mark.parametrize("longer", [-3, 1, 40])
def test_behind_a_text_with_a_corrupt_length_the_next_message_is_found(longer):
    said = event("text", {"said": 1})
    corrupt = pack(">I", len(said) + longer) + said[4:]
    told, texts, skipped = texts_of(said + corrupt + FIRST + SECOND, lambda whole: [whole])
    assert told[-1] == "second"
    assert texts == [b'{"said":1}', b""]
    assert skipped > 0


def test_the_event_is_named_by_its_header():
    assert names(MessageSplitter().feed(event("metadata", {}))) == ["metadata"]
    assert names(MessageSplitter().feed(message({}, b""))) == [None]
