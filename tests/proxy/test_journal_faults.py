"""The journal under the relay: full disks, kills, rotation; losses are counted and told."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from proxy.journal import Closed, Lost, Opened, lanes
from proxy.journal.segments import idle_locks
from tests.support.processes import Meterline, entries, wait_for
from tests.support.raw import (
    CHUNKED,
    LAST_CHUNK,
    FakeProvider,
    Message,
    Wire,
    answer,
    answering,
    chunk,
    connect,
    request,
)

CALL = request("POST", "/openai/v1/x", body=b"{}")
FILE_LIMIT = 40_000


def ask(proxy: Meterline, data: bytes = CALL) -> Message:
    with connect(proxy.port) as wire:
        wire.send(data)
        return wire.answer()


def limit_files() -> None:
    """Writes beyond this size fail in the child: every segment is a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_LIMIT, resource.RLIM_INFINITY))


def lift_limit(proxy: Meterline) -> None:
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(proxy.process.pid, resource.RLIMIT_FSIZE, unlimited)


def test_a_full_disk_is_passed_over_counted_and_told_later(
    start_proxy: Callable[..., Meterline], provider: FakeProvider
) -> None:
    proxy = start_proxy(before_exec=limit_files)
    body = os.urandom(30_000)
    provider.script = answering(answer(body))
    seen = [ask(proxy) for _ in range(5)]
    assert all(found.body == body for found in seen)
    lost = [found for found in seen if proxy.record(found.exchange_id).closed is None]
    assert len(lost) == 4
    health = proxy.health()
    assert health["status"] == "losing"
    assert health["losses"]["journal_unwritable"] == 4
    assert b'meterline_losses_total{reason="journal_unwritable"} 4.0' in proxy.page("/-/metrics")
    lift_limit(proxy)
    last = ask(proxy)
    assert proxy.record(last.exchange_id).response == body
    told = [entry for entry, _, _ in proxy.entries() if isinstance(entry, Lost)]
    assert {entry.reason for entry in told} == {"journal_unwritable"}
    assert sum(entry.count for entry in told) == 4


def test_an_exchange_that_begins_on_a_full_disk_and_ends_on_a_free_one_is_whole(
    start_proxy: Callable[..., Meterline], provider: FakeProvider
) -> None:
    proxy = start_proxy()
    go = threading.Event()

    def script(wire: Wire, _: Message) -> None:
        wire.send(CHUNKED + chunk(b"a" * 100_000))
        assert go.wait(10)
        wire.send(chunk(b"b" * 100_000) + LAST_CHUNK)

    provider.script = script
    ask_once = request("POST", "/openai/v1/x", [("Meterline-Feature", "f")], b"the prompt")
    resource.prlimit(proxy.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    with connect(proxy.port) as wire:
        wire.send(ask_once)
        head = wire.head()
        assert wire.chunks(100_000) == b"a" * 100_000
        assert proxy.entries() == []
        lift_limit(proxy)
        go.set()
        while wire.chunk():
            pass
    kept = proxy.record(head.exchange_id)
    assert kept.opened is not None
    assert kept.closed is not None
    assert kept.opened.labels == {"feature": "f"}
    assert (kept.request, kept.response) == (b"the prompt", b"a" * 100_000 + b"b" * 100_000)


def test_parts_that_do_not_fit_leave_no_hole(
    start_proxy: Callable[..., Meterline], provider: FakeProvider
) -> None:
    proxy = start_proxy()
    go = threading.Event()

    def script(wire: Wire, _: Message) -> None:
        for letter in (b"a", b"b", b"c"):
            wire.send((CHUNKED if letter == b"a" else b"") + chunk(letter * 100_000))
            assert go.wait(10)
            go.clear()
        wire.send(LAST_CHUNK)

    provider.script = script
    with connect(proxy.port) as wire:
        wire.send(CALL)
        head = wire.head()
        for letter in (b"a", b"b", b"c"):
            assert wire.chunks(100_000) == letter * 100_000
            limit = 1 if letter == b"a" else resource.RLIM_INFINITY
            resource.prlimit(
                proxy.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)
            )
            go.set()
        assert wire.chunk() == b""
    kept = proxy.record(head.exchange_id)
    assert kept.response == b"a" * 100_000 + b"b" * 100_000 + b"c" * 100_000
    assert kept.closed is not None
    assert kept.closed.response_gap is None


def test_refuse_answers_503_before_the_provider_sees_anything(
    start_proxy: Callable[..., Meterline], provider: FakeProvider
) -> None:
    proxy = start_proxy({"journal": {"on_full": "refuse"}})
    assert ask(proxy).status == 200
    provider.requests.clear()
    resource.prlimit(proxy.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    seen = ask(proxy)
    assert (seen.status, json.loads(seen.body)["error"]["code"]) == (503, "journal_unwritable")
    assert provider.requests == []
    assert proxy.health()["losses"]["journal_unwritable"] == 1
    lift_limit(proxy)
    assert ask(proxy).status == 200


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_really_full_disk(
    start_proxy: Callable[..., Meterline], provider: FakeProvider, small_disk: Path
) -> None:
    proxy = start_proxy({"journal": {"fsync": "always"}}, data_dir=small_disk / "data")
    filler = small_disk / "filler"
    assert ask(proxy).status == 200
    file = os.open(filler, os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while True:
            os.write(file, b"x" * 4096)
    os.close(file)
    provider.script = answering(answer(b"y" * 20_000))
    for _ in range(3):
        assert ask(proxy).body == b"y" * 20_000
    assert proxy.health()["losses"]["journal_unwritable"] == 3
    filler.unlink()
    seen = ask(proxy)
    assert proxy.record(seen.exchange_id).response == b"y" * 20_000


def test_always_means_synced_before_the_answer_ends(
    start_proxy: Callable[..., Meterline], provider: FakeProvider
) -> None:
    proxy = start_proxy({"journal": {"fsync": "always"}})
    wires = [connect(proxy.port) for _ in range(20)]
    for wire in wires:
        wire.send(CALL)
    for wire in wires:
        seen = wire.answer()
        assert proxy.record(seen.exchange_id).closed is not None
        wire.close()
    assert len(provider.requests) == 20


def test_segments_rotate_under_load_and_nothing_is_lost(
    start_proxy: Callable[..., Meterline], provider: FakeProvider
) -> None:
    proxy = start_proxy({"journal": {"segment_bytes": 65536}})
    provider.script = answering(answer(b"z" * 5000))
    ids: list[str] = []

    def load() -> None:
        with connect(proxy.port) as wire:
            for _ in range(20):
                wire.send(CALL)
                ids.append(wire.answer().exchange_id)

    threads = [threading.Thread(target=load) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(lanes(proxy.data_dir / "journal")[0].segments) > 5
    assert sorted(closed.exchange_id for closed in proxy.closed_entries()) == sorted(ids)
    assert len(ids) == 100


def test_a_kill_leaves_a_readable_journal_and_no_lock(
    start_proxy: Callable[..., Meterline], provider: FakeProvider
) -> None:
    proxy = start_proxy()
    journal = proxy.data_dir / "journal"
    hold = threading.Event()

    def script(wire: Wire, seen: Message) -> None:
        wire.send(CHUNKED + chunk(b"x" * 100_000))
        if seen.target == b"/v1/done":
            wire.send(LAST_CHUNK)
        else:
            hold.wait(10)

    provider.script = script
    with connect(proxy.port) as wire:
        wire.send(request("POST", "/openai/v1/done", body=b"{}"))
        done = wire.answer().exchange_id
    streams = [connect(proxy.port) for _ in range(10)]
    for wire in streams:
        wire.send(request("POST", "/openai/v1/held", body=b"{}"))
    begun = [wire.head().exchange_id for wire in streams]
    for wire in streams:
        assert wire.chunks(100_000) == b"x" * 100_000
    assert [lane.alive for lane in lanes(journal)] == [True]
    proxy.kill()
    hold.set()
    assert [lane.alive for lane in lanes(journal)] == [False]
    assert len(idle_locks(journal)) == 1
    found = [entry for entry, _, _ in entries(proxy.data_dir)]
    assert {e.exchange_id for e in found if isinstance(e, Opened)} == {done, *begun}
    assert {e.exchange_id for e in found if isinstance(e, Closed)} == {done}
    for exchange_id in begun:
        assert len(proxy.record(exchange_id).response) > 60_000  # what was spilled
    for wire in streams:
        wire.close()


def test_an_end_in_the_midst_of_a_stream_is_recorded_as_interrupted(
    start_proxy: Callable[..., Meterline], provider: FakeProvider
) -> None:
    proxy = start_proxy({"server": {"shutdown_seconds": 0.3}})
    ended = threading.Event()

    def script(wire: Wire, _: Message) -> None:
        wire.send(CHUNKED + chunk(b"data: x\n\n"))
        if wire.ended(10):
            ended.set()

    provider.script = script
    with connect(proxy.port) as wire, connect(proxy.port) as idle:
        wire.send(CALL)
        head = wire.head()
        assert wire.chunk() == b"data: x\n\n"
        assert proxy.stop(seconds=5) == 0
        assert LAST_CHUNK not in wire.rest()
        assert idle.ended(1)
    assert ended.wait(1)
    kept = proxy.record(head.exchange_id)
    assert kept.closed is not None
    assert (kept.closed.outcome, kept.response) == ("interrupted", b"data: x\n\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stream_that_ends_in_time_is_completed_before_the_proxy_ends(
    start_proxy: Callable[..., Meterline], provider: FakeProvider, number: int
) -> None:
    proxy = start_proxy()
    go = threading.Event()

    def script(wire: Wire, _: Message) -> None:
        wire.send(CHUNKED + chunk(b"first"))
        assert go.wait(10)
        wire.send(chunk(b"second") + LAST_CHUNK)

    provider.script = script
    with connect(proxy.port) as wire:
        wire.send(CALL)
        head = wire.head()
        assert wire.chunk() == b"first"
        proxy.process.send_signal(number)
        wait_for(lambda: not _listens(proxy), "the proxy to take no more calls")
        go.set()
        assert (wire.chunk(), wire.chunk()) == (b"second", b"")
    assert proxy.stop(number) == 0
    kept = proxy.record(head.exchange_id)
    assert kept.closed is not None
    assert (kept.closed.outcome, kept.response) == ("completed", b"firstsecond")


def _listens(proxy: Meterline) -> bool:
    try:
        connect(proxy.port).close()
    except ConnectionRefusedError:
        return False
    return True
