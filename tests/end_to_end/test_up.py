"""`meterline up`: starts all parts, keeps them running, ends with all of them, and says why not."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.posted import select, wait_for_rows
from tests.support.processes import ROOT, wait_for
from tests.support.services import Place, Provider, Service, demo_provider, meterline, place

ALL = "SELECT exchange_id, outcome FROM exchanges"


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with demo_provider(tmp_path_factory.mktemp("demo") / "demo.log") as running:
        yield running


@pytest.fixture
def at(tmp_path: Path, provider: Provider) -> Place:
    return place(tmp_path, provider.url)


@pytest.fixture
def up(at: Place) -> Iterator[Service]:
    service = at.launch("up")
    try:
        at.wait_until_it_serves(service)
        yield service
    finally:
        service.stop()


def children(pid: int) -> dict[int, list[str]]:
    """The child processes with their command lines."""
    found = {}
    for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(FileNotFoundError):  # it has ended since
            words = Path(f"/proc/{number}/cmdline").read_bytes().decode().split("\0")
            found[int(number)] = words
    return found


def parts_of(up: Service) -> dict[int, list[str]]:
    """The proxy and the poster, once both were started."""
    pid = up.process.pid
    return wait_for(lambda: found if len(found := children(pid)) >= 2 else {}, "two parts")


def lives(pid: int) -> bool:
    """A process that has ended and waits to be collected by its parent does not live."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ask(at: Place) -> None:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello!"}]}
    request = urllib.request.Request(
        f"{at.url}/openai/v1/chat/completions", json.dumps(body).encode(), method="POST"
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 200


def refuses(result: subprocess.CompletedProcess[str], *words: str) -> None:
    """It ended as one that cannot run as asked, and said why in plain words."""
    assert result.returncode == 2, result
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("meterline")
    for word in words:
        assert word in result.stderr


def test_up_tells_the_address_and_serves_and_posts(at: Place, up: Service) -> None:
    wait_for(lambda: "Meterline is ready at" in up.said(), "the welcome")
    assert f'base_url="{at.url}/openai/v1"' in up.said()
    assert str(at.store) in up.said()
    ask(at)
    assert [row["outcome"] for row in wait_for_rows(at.store, ALL, (), 1)] == ["completed"]


@pytest.mark.parametrize("part", ["proxy", "post"])
def test_a_killed_part_is_started_again(at: Place, up: Service, part: str) -> None:
    def pid() -> int:
        found = children(up.process.pid).items()
        return next((number for number, words in found if part in words), 0)

    first = wait_for(pid, part)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: pid() not in (0, first), f"another {part}")
    wait_for(at.serves, "the proxy")
    ask(at)
    assert len(wait_for_rows(at.store, ALL, (), 1)) == 1
    assert up.process.poll() is None
    assert "ended with code -9; starting it again" in up.said()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_ends_with_all_its_parts_when_told(at: Place, up: Service, number: int) -> None:
    ask(at)
    assert len(wait_for_rows(at.store, ALL, (), 1)) == 1
    parts = parts_of(up)
    ask(at)
    assert up.stop(number, seconds=10) == 0
    assert not [pid for pid in parts if lives(pid)]
    assert "Traceback" not in up.said()
    assert len(select(at.store, ALL)) == 2


def test_the_parts_end_by_themselves_when_up_is_killed(at: Place, up: Service) -> None:
    parts = parts_of(up)
    up.kill()
    wait_for(lambda: not [pid for pid in parts if lives(pid)], "the parts to end", 10.0)
    assert not at.serves()


def test_a_part_whose_supervisor_died_meanwhile_does_not_begin(at: Place) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    environment = {**os.environ, "METERLINE_SUPERVISED_BY": str(gone.pid)}
    command = [sys.executable, "-m", "meterline", "post", "--config", str(at.config)]
    ended = subprocess.run(command, cwd=ROOT, env=environment, timeout=60, check=False)
    assert ended.returncode == 1
    assert not (at.data_dir / "poster.lock").exists()


def test_after_a_kill_of_everything_up_starts_anew_on_the_same_data(at: Place) -> None:
    first = at.launch("up")
    at.wait_until_it_serves(first)
    ask(at)
    for pid in parts_of(first):
        os.kill(pid, signal.SIGKILL)
    first.kill()
    second = at.launch("up")
    try:
        at.wait_until_it_serves(second)
        ask(at)
        assert len(wait_for_rows(at.store, ALL, (), 2)) == 2
    finally:
        second.stop()


@pytest.mark.parametrize("command", ["up", "proxy"])
def test_a_port_in_use_is_told_with_the_mend(at: Place, command: str) -> None:
    with socket.create_server(("127.0.0.1", at.port)):
        refuses(
            meterline(command, "--config", str(at.config)),
            f"cannot listen on 127.0.0.1:{at.port}",
            "--port",
        )


@pytest.mark.parametrize("command", ["up", "proxy", "post"])
def test_a_folder_that_cannot_be_written_is_told_with_the_mend(
    tmp_path: Path, provider: Provider, command: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    at = place(tmp_path, provider.url, {"": {"data_dir": str(tmp_path / "file" / "data")}})
    refuses(meterline(command, "--config", str(at.config)), str(tmp_path / "file"), "data_dir")


FAULTY = {
    "[server]\nprot = 8080\n": ["server.prot: unknown key", "Did you mean port?"],
    "[server]\nport = 99999\nhost = 1\n": ["server.port = 99999", "server.host = 1"],
    "[server\nport = 1\n": ["not valid TOML"],
    "[providers.opnai]\n": ["providers.opnai", "openai"],
}


@pytest.mark.parametrize("text", FAULTY)
def test_every_fault_of_a_configuration_is_told(tmp_path: Path, text: str) -> None:
    config = tmp_path / "meterline.toml"
    config.write_text(text)
    refuses(meterline("up", "--config", str(config)), str(config), *FAULTY[text])


@pytest.mark.parametrize("command", ["proxy", "post", "top", "tail"])
def test_every_command_refuses_a_faulty_configuration(tmp_path: Path, command: str) -> None:
    config = tmp_path / "meterline.toml"
    config.write_text("[server]\nprot = 8080\n")
    refuses(meterline(command, "--config", str(config)), "server.prot: unknown key")


def test_a_configuration_that_is_not_there_is_told(tmp_path: Path) -> None:
    refuses(meterline("up", "--config", str(tmp_path / "none.toml")), "no such file")


def test_a_credential_that_is_not_set_is_told(tmp_path: Path) -> None:
    config = tmp_path / "meterline.toml"
    config.write_text('[providers.openai]\napi_key_env = "NOT_SET_ANYWHERE"\n')
    refuses(meterline("up", "--config", str(config)), "NOT_SET_ANYWHERE", "Export it")


def test_a_second_up_on_the_same_folder_ends_and_the_first_goes_on(
    at: Place, up: Service, provider: Provider
) -> None:
    second = place(at.folder / "second", provider.url, {"": {"data_dir": str(at.data_dir)}})
    refuses(meterline("up", "--config", str(second.config)), str(at.data_dir))
    ask(at)
    assert len(wait_for_rows(at.store, ALL, (), 1)) == 1
    assert up.process.poll() is None


def test_a_second_poster_on_the_same_folder_is_told(at: Place, up: Service) -> None:
    wait_for(lambda: (at.data_dir / "poster.lock").exists(), "the poster's lock")
    wait_for((at.data_dir / "poster.lock").read_text, "the poster's number")
    refuses(meterline("post", "--config", str(at.config)), "another poster", "data_dir")
    assert up.process.poll() is None
