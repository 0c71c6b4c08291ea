"""The blocks of a stream, and which of them a cut may have gone through."""

from proxy.wire.event_blocks import event_blocks


def test_only_the_last_block_of_a_whole_stream_may_lack_its_end():
    blocks = list(event_blocks([b"\xef\xbb\xbfdata: 1\r\n\r\ndata: 2\n\ndata: 3"]))
    assert blocks == [(b"data: 1", False), (b"data: 2", False), (b"data: 3", True)]


def test_the_blocks_at_a_gap_may_lack_their_beginning_or_end():
    blocks = list(event_blocks([b"data: 1\n\ndata: 2", b"3\n\ndata: 4\n\n"]))
    assert blocks == [
        (b"data: 1", False),
        (b"data: 2", True),
        (b"3", True),
        (b"data: 4", False),
        (b"", True),
    ]
