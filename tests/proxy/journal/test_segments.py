import os
from pathlib import Path

import pytest

from proxy.journal import Damage, Frame, JournalWriter, Part, lanes
from proxy.journal.segments import idle_locks, read_frame, read_items

EXCHANGE = "019b0000-0000-7000-8000-000000000001"
ENTRY = Part(exchange_id=EXCHANGE)


def written(folder: Path, bodies: list[bytes]) -> Path:
    writer = JournalWriter(folder, fsync="always")
    for body in bodies:
        writer.append(ENTRY, body)
    writer.close()
    return lanes(folder)[0].segments[0]


def bodies_in(segment: Path, offset: int = 0, read_bytes: int = 1 << 20) -> list[bytes]:
    items = read_items(segment, offset, read_bytes)
    return [item.request for item in items if isinstance(item, Frame)]


@pytest.mark.parametrize("read_bytes", [1, 36, 37, 100, 1 << 20])
def test_frames_are_found_whatever_is_read_at_once(tmp_path: Path, read_bytes: int) -> None:
    bodies = [b"a", b"b" * 500, b"", b"c" * 90]
    assert bodies_in(written(tmp_path, bodies), 0, read_bytes) == bodies


@pytest.mark.parametrize("read_bytes", [36, 64, 1 << 20])
def test_reading_goes_on_behind_damage_longer_than_a_read(tmp_path: Path, read_bytes: int) -> None:
    segment = written(tmp_path, [b"a" * 40, b"b" * 4000, b"c" * 40])
    first = next(read_items(segment, 0))
    data = bytearray(segment.read_bytes())
    data[first.end : first.end + 3000] = os.urandom(3000)
    segment.write_bytes(data)
    assert bodies_in(segment, 0, read_bytes) == [b"a" * 40, b"c" * 40]
    damage = [item for item in read_items(segment, 0, read_bytes) if isinstance(item, Damage)]
    assert [item.start for item in damage] == [first.end]


def test_reading_starts_at_any_frame(tmp_path: Path) -> None:
    segment = written(tmp_path, [b"a", b"b", b"c"])
    starts = [item.start for item in read_items(segment, 0)]
    assert bodies_in(segment, starts[1]) == [b"b", b"c"]
    frame = read_frame(segment, starts[2])
    assert frame is not None
    assert frame.request == b"c"


def test_a_frame_that_is_not_there_is_none(tmp_path: Path) -> None:
    segment = written(tmp_path, [b"a" * 100])
    assert read_frame(segment, 5) is None
    assert read_frame(segment, 10_000) is None
    assert read_frame(tmp_path / segment.name.replace(".000001.", ".000002."), 0) is None


def test_a_lane_lives_as_long_as_its_writer(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, fsync="always")
    writer.append(ENTRY)
    assert [lane.alive for lane in lanes(tmp_path)] == [True]
    assert idle_locks(tmp_path) == []
    writer.close()
    assert [lane.alive for lane in lanes(tmp_path)] == [False]
    assert len(idle_locks(tmp_path)) == 1


def test_lanes_and_their_segments_come_in_order(tmp_path: Path) -> None:
    for _ in range(2):
        writer = JournalWriter(tmp_path, fsync="always", segment_bytes=100)
        for _ in range(12):
            writer.append(ENTRY, b"x" * 100)
        writer.close()
    found = lanes(tmp_path)
    assert [lane.name for lane in found] == sorted(lane.name for lane in found)
    for lane in found:
        assert [path.name.split(".")[1] for path in lane.segments] == [
            f"{n:06d}" for n in range(1, 13)
        ]


def test_a_missing_folder_has_no_lanes(tmp_path: Path) -> None:
    assert lanes(tmp_path / "nowhere") == []
