"""The other processes of a test: a demo provider, a poster, a whole `meterline up`.

Owns starting them with their output in a file, and ending each by its own process. Refuses to
hide how one ended: whoever stops a process gets its exit code.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.processes import ROOT, Config, free_port, wait_for, write_config

Entry = dict[str, Any]
"""One request in a demo provider's ledger."""


@dataclass(slots=True)
class Service:
    """A running process, its standard output and error in one file."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text(errors="replace")

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


def launch(log: Path, *words: str, environment: Mapping[str, str] | None = None) -> Service:
    """Start `python -m ...` in a session of its own: a Ctrl-C at the test does not reach it."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            env={**os.environ, **environment} if environment else None,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return Service(process, log)


@contextmanager
def running(log: Path, *words: str) -> Iterator[Service]:
    service = launch(log, *words)
    try:
        yield service
    finally:
        service.stop()


def meterline(*words: str, seconds: float = 30.0) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "meterline", *words],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@dataclass(frozen=True, slots=True)
class Provider:
    """A running demo provider."""

    url: str

    def ledger(self, test_id: str | None = None) -> list[Entry]:
        """What it served, in order of arrival; of one test, where its id is given."""
        with urllib.request.urlopen(f"{self.url}/ledger", timeout=10) as answer:
            entries: list[Entry] = json.load(answer)
        return [entry for entry in entries if test_id in (None, entry["test_id"])]


@contextmanager
def demo_provider(log: Path, pace: float = 0.0) -> Iterator[Provider]:
    words = ("sample_data.demo_provider", "--port", "0", "--pace", str(pace))
    with running(log, *words) as service:
        line = wait_for(service.said, "the demo provider's address")
        yield Provider(line.split()[-1])


@dataclass(frozen=True, slots=True)
class Place:
    """A data folder with its configuration, and the address to serve at."""

    folder: Path
    config: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def store(self) -> Path:
        return self.data_dir / "meterline.duckdb"

    def launch(self, command: str) -> Service:
        """Start `meterline COMMAND` here; its output goes to COMMAND.log."""
        log = self.folder / f"{command}.log"
        return launch(log, "meterline", command, "--config", str(self.config))

    def serves(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return bool(answer.read() == b"ready\n")
        except (urllib.error.URLError, OSError):
            return False

    def wait_until_it_serves(self, service: Service) -> None:
        def serves() -> bool:
            assert service.process.poll() is None, service.said()
            return self.serves()

        wait_for(serves, "the proxy to serve")

    @contextmanager
    def served(self, *commands: str) -> Iterator[list[Service]]:
        """With these commands running, the first of which serves."""
        services: list[Service] = []
        try:
            for command in commands:
                services.append(self.launch(command))
            self.wait_until_it_serves(services[0])
            yield services
        finally:
            for service in services:
                service.stop()


def place(folder: Path, provider_url: str, tables: Config | None = None) -> Place:
    """A new data folder whose providers are all at one address."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    settings: dict[str, Mapping[str, Any]] = {"": {"data_dir": str(folder / "data")}}
    for name in ("openai", "anthropic", "gemini"):
        settings[f"providers.{name}"] = {"base_url": provider_url}
    settings |= tables or {}
    settings["server"] = {"port": port, **settings.get("server", {})}
    return Place(folder, write_config(folder, settings), port)
