"""The real server over sockets: which hosts it answers to, and whose pages may open its stream."""

from __future__ import annotations

import http.client
import urllib.request
from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.support.processes import free_port, wait_for, write_config
from tests.support.services import launch


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("served")
    port = free_port()
    tables = {"": {"data_dir": str(folder)}, "dashboard": {"port": port}}
    config = str(write_config(folder, tables))
    service = launch(folder / "dashboard.log", "meterline", "dashboard", "--config", config)
    try:
        wait_for(lambda: answers(port), "the dashboard", seconds=60)
        yield port
    finally:
        service.stop()


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1):
            return True
    except OSError:
        return False


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1", 200), ("localhost", 200), ("evil.example", 403), ("127.0.0.1.nip.io", 403)],
)
@pytest.mark.parametrize("path", ["/", "/spend", "/_stcore/health", "/app/static/icon.svg"])
def test_host_that_is_rebound_to_this_machine_is_refused(
    port: int, host: str, status: int, path: str
) -> None:
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        asked.request("GET", path, headers={"Host": f"{host}:{port}"})
        assert asked.getresponse().status == status
    finally:
        asked.close()


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://localhost:3000", "http://127.0.0.1:1", "null"]
)
def test_page_from_elsewhere_cannot_open_the_stream(port: int, origin: str) -> None:
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(f"ws://127.0.0.1:{port}/_stcore/stream", origin=Origin(origin), proxy=None),
    ):
        pass
    assert refused.value.response.status_code == 403


def test_own_page_opens_the_stream(port: int) -> None:
    origin = Origin(f"http://127.0.0.1:{port}")
    with connect(f"ws://127.0.0.1:{port}/_stcore/stream", origin=origin, proxy=None) as made:
        assert made.response is not None
        assert made.response.status_code == 101
