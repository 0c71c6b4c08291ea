"""Meterline processes for tests: started for real, waited for, read from and always ended.

Owns their life and the reading of their journal. Refuses to reach into a process: what a test
knows of it comes over a socket or from its files.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from proxy.journal import Closed, Damage, Entry, Lost, Opened, lanes
from proxy.journal.entries import decode
from proxy.journal.segments import read_items

ROOT = Path(__file__).resolve().parents[2]
Config = Mapping[str, Mapping[str, Any]]
"""Tables of meterline.toml by their dotted name."""
T = TypeVar("T")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def wait_for(condition: Callable[[], T], what: str, seconds: float = 30.0) -> T:
    """The first true value of the condition; fails the test after the deadline."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.005)
    return value


def write_config(folder: Path, tables: Config, rules: str = "") -> Path:
    """A meterline.toml; the values are strings, numbers and booleans, `rules` is TOML."""
    lines = []
    for name, table in tables.items():
        if name:
            lines.append(f"[{name}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    path = folder / "meterline.toml"
    path.write_text("\n".join(lines) + f"\n{rules}\n")
    return path


class Recorded(NamedTuple):
    """A journal entry with its bodies."""

    entry: Entry
    request: bytes
    response: bytes


def entries(data_dir: Path) -> list[Recorded]:
    """All that the journal holds at this moment; fails on damage."""
    found = []
    for lane in lanes(data_dir / "journal"):
        for segment in lane.segments:
            for item in read_items(segment, 0):
                assert not isinstance(item, Damage), item
                entry = decode(item.kind, item.head)
                found.append(Recorded(entry, item.request, item.response))
    return found


class Record(NamedTuple):
    """One exchange as the journal has it, bodies put together."""

    opened: Opened | None
    closed: Closed | None
    request: bytes
    response: bytes


def record(found: Iterable[Recorded], exchange_id: str) -> Record:
    """What the entries have of one exchange."""
    opened = closed = None
    request = response = b""
    for entry, sent, received in found:
        if isinstance(entry, Lost) or entry.exchange_id != exchange_id:
            continue
        request, response = request + sent, response + received
        if isinstance(entry, Opened):
            opened = entry
        elif isinstance(entry, Closed):
            assert closed is None, "closed twice"
            closed = entry
    return Record(opened, closed, request, response)


@dataclass(slots=True)
class Meterline:
    """A running `meterline proxy`."""

    process: subprocess.Popen[bytes]
    port: int
    data_dir: Path
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def page(self, path: str) -> bytes:
        """One of its own pages."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=5) as answer:
            return bytes(answer.read())

    def health(self) -> dict[str, Any]:
        return dict(json.loads(self.page("/-/health")))

    def entries(self) -> list[Recorded]:
        return entries(self.data_dir)

    def record(self, exchange_id: str) -> Record:
        return record(self.entries(), exchange_id)

    def closed(self, exchange_id: str) -> Closed:
        """Its Closed entry, once it is there."""
        closed = wait_for(lambda: self.record(exchange_id).closed, "the end of the exchange")
        assert closed is not None
        return closed

    def closed_entries(self) -> list[Closed]:
        return [entry for entry, _, _ in self.entries() if isinstance(entry, Closed)]

    def opened_ids(self) -> list[str]:
        return [e.exchange_id for e, _, _ in self.entries() if isinstance(e, Opened)]

    def rss_bytes(self, *, peak: bool = False) -> int:
        name = "VmHWM:" if peak else "VmRSS:"
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
        raise AssertionError(name)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def stop(self, number: int = signal.SIGTERM, seconds: float = 15.0) -> int:
        """Tell it to end; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def start(
    folder: Path,
    tables: Config,
    *,
    environment: Mapping[str, str] | None = None,
    command: Sequence[str] = (sys.executable, "-m", "meterline"),
    arguments: Sequence[str] = (),
    before_exec: Callable[[], None] | None = None,
    data_dir: Path | None = None,
    rules: str = "",
) -> Meterline:
    """Start a proxy with this configuration and wait until it serves."""
    port = free_port()
    data_dir = data_dir or folder / "data"
    own = {"data_dir": str(data_dir), **tables.get("", {})}
    server = {"port": port, **tables.get("server", {})}
    others = {name: table for name, table in tables.items() if name}
    config = write_config(folder, {"": own, **others, "server": server}, rules)
    log = folder / "output.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*command, "proxy", "--config", str(config), *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=before_exec,
        )
    running = Meterline(process, port, data_dir, log)
    try:
        wait_for(lambda: _ready(running), "the proxy to be ready")
    except BaseException:
        running.kill()
        raise
    return running


def with_constants(**values: object) -> Sequence[str]:
    """A command like `python -m meterline` with constants such as `proxy__server__IDLE_SECONDS`
    set to other values, so that a test need not wait for a minute."""
    lines = ["import sys, importlib, meterline"]
    for name, value in values.items():
        *module, constant = name.split("__")
        lines.append(f"importlib.import_module('{'.'.join(module)}').{constant} = {value!r}")
    lines.append("sys.exit(meterline.main())")
    return (sys.executable, "-c", "\n".join(lines))


def _ready(running: Meterline) -> bool:
    code = running.process.poll()
    said = running.log.read_text(errors="replace")
    assert code is None, f"ended with {code}: {said}"
    if "listening on" not in said:  # else another process's answers, at the same port, would do
        return False
    try:
        return running.page("/-/ready") == b"ready\n"
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
