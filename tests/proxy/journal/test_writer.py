import asyncio
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.journal import Frame, JournalUnwritable, JournalWriter, Part, lanes
from proxy.journal.segments import read_items

ENTRY = Part(exchange_id="019b0000-0000-7000-8000-000000000001")


def bodies(folder: Path) -> list[bytes]:
    return [
        item.request
        for lane in lanes(folder)
        for segment in lane.segments
        for item in read_items(segment, 0)
        if isinstance(item, Frame)
    ]


@pytest.fixture(params=["interval", "always"])
def writer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JournalWriter]:
    made = JournalWriter(tmp_path / "journal", fsync=request.param, segment_bytes=4096)
    yield made
    made.close()


def test_what_was_appended_can_be_read_at_once(writer: JournalWriter, tmp_path: Path) -> None:
    written = [os.urandom(size) for size in (0, 10, 5000, 10, 3000, 2000)]
    for body in written:
        writer.append(ENTRY, body)
    assert bodies(tmp_path / "journal") == written


def test_files_and_folder_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        writer = JournalWriter(tmp_path / "journal", fsync="always")
        writer.append(ENTRY)
        writer.close()
    finally:
        os.umask(before)
    folder = tmp_path / "journal"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_durable_waits_for_a_sync_that_callers_share(tmp_path: Path) -> None:
    async def append(writer: JournalWriter, body: bytes) -> None:
        writer.append(ENTRY, body)
        await writer.durable()

    async def run() -> None:
        writer = JournalWriter(tmp_path, fsync="always", segment_bytes=300)
        await asyncio.gather(*(append(writer, bytes([n])) for n in range(50)))
        writer.close()

    asyncio.run(run())
    assert sorted(bodies(tmp_path)) == [bytes([n]) for n in range(50)]


def test_an_append_that_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: the write is cut short."""
    writer = JournalWriter(tmp_path, fsync="always")
    writer.append(ENTRY, b"first")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
        with pytest.raises(JournalUnwritable):
            writer.append(ENTRY, b"x" * 5000)
        writer.append(ENTRY, b"small")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    writer.append(ENTRY, b"last")
    writer.close()
    assert bodies(tmp_path) == [b"first", b"small", b"last"]


def test_a_folder_that_is_gone_is_told_and_not_fatal(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    writer = JournalWriter(folder, fsync="always", segment_bytes=1)
    writer.append(ENTRY, b"a")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    with pytest.raises(JournalUnwritable, match="journal"):
        writer.append(ENTRY, b"b")
    folder.mkdir()
    writer.append(ENTRY, b"c")
    writer.close()
    assert bodies(folder) == [b"c"]
