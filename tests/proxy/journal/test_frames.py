from hypothesis import given
from hypothesis import strategies as st

from proxy.journal import Damage, Frame, scan
from proxy.journal.frames import HEADER_BYTES, pack

MARKER = bytes.fromhex("0123456789abcdef")
Content = tuple[int, bytes, bytes, bytes]

contents = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.binary(max_size=40),
        st.binary(max_size=80) | st.just(MARKER * 3),
        st.binary(max_size=80),
    ),
    min_size=1,
    max_size=6,
)


def packed(items: list[Content]) -> tuple[bytes, list[int]]:
    """The bytes of the frames, and where each ends."""
    data, ends = b"", []
    for kind, head, request, response in items:
        data += b"".join(pack(MARKER, kind, head, request, response))
        ends.append(len(data))
    return data, ends


def found(data: bytes, base: int = 0) -> list[Content]:
    return [
        (item.kind, item.head, item.request, item.response)
        for item in scan(data, MARKER, base)
        if isinstance(item, Frame)
    ]


@given(contents)
def test_what_was_packed_is_found(items: list[Content]) -> None:
    data, ends = packed(items)
    frames = list(scan(data, MARKER, 1000))
    assert found(data) == items
    assert [frame.end for frame in frames] == [1000 + end for end in ends]
    assert [frame.start for frame in frames] == [1000, *(1000 + end for end in ends[:-1])]


@given(contents)
def test_truncation_at_every_byte_keeps_the_valid_prefix(items: list[Content]) -> None:
    data, ends = packed(items)
    for cut in range(len(data)):
        whole = sum(end <= cut for end in ends)
        assert list(scan(data[:cut], MARKER)) == list(scan(data, MARKER))[:whole]


@given(contents, st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_costs_the_frame_it_hits_and_no_other(
    items: list[Content], at: int, bit: int
) -> None:
    data, ends = packed(items)
    at %= len(data)
    broken = bytearray(data)
    broken[at] ^= 1 << bit
    hit = next(number for number, end in enumerate(ends) if at < end)
    assert found(bytes(broken)) == items[:hit] + items[hit + 1 :]


@given(contents, st.binary(min_size=1, max_size=200), st.integers(0, 6))
def test_reading_goes_on_behind_garbage(items: list[Content], garbage: bytes, place: int) -> None:
    place %= len(items)
    before, _ = packed(items[:place])
    after, _ = packed(items[place:])
    result = list(scan(before + garbage + after, MARKER))
    assert [item for item in result if isinstance(item, Frame)] != []
    assert found(before + garbage + after) == items
    assert Damage(len(before), len(before + garbage), "no valid frame header") in result


@given(st.binary(max_size=600))
def test_nothing_is_accepted_that_was_not_written(data: bytes) -> None:
    assert found(data) == []


@given(contents)
def test_frames_of_another_lane_are_not_accepted(items: list[Content]) -> None:
    data, _ = packed(items)
    assert list(scan(data, bytes(8))) == []


@given(contents)
def test_frames_inside_a_body_are_not_read_as_frames(items: list[Content]) -> None:
    body, _ = packed(items)
    outer: Content = (3, b"{}", body, body)
    data, _ = packed([outer, outer])
    assert found(data) == [outer, outer]


def test_a_length_beyond_the_data_is_waited_for_and_not_allocated() -> None:
    header = pack(MARKER, 3, b"", b"", b"")[0]
    forged = bytearray(header)
    forged[12:16] = (2**31).to_bytes(4, "little")
    assert list(scan(bytes(forged), MARKER)) == []
    follower = b"".join(pack(MARKER, 3, b"{}", b"", b""))
    assert found(bytes(forged) + follower) == [(3, b"{}", b"", b"")]
    assert len(header) == HEADER_BYTES
