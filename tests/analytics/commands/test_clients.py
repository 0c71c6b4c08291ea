from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from analytics.commands.clients import CLIENTS
from proxy.config import Server, Settings
from proxy.labels import collect
from proxy.providers import BUILT_IN
from proxy.routes import match

Function = Callable[..., Any]
MESSAGES = [{"role": "user", "content": "Hello"}]


class Recorder:
    """A server that notes what it is asked, and refuses it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                outer.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                body = b'{"error": {"message": "no"}}'
                self.send_response(400)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    thread = threading.Thread(target=recorder.server.serve_forever)
    thread.start()
    yield recorder
    recorder.server.shutdown()
    recorder.server.server_close()
    thread.join()


@pytest.fixture
def lines_of(run: Function, recorder: Recorder) -> Callable[[str], str]:
    settings = Settings(server=Server(port=recorder.port))

    def lines(name: str) -> str:
        (client,) = json.loads(run("clients", name, "--format", "json", settings=settings).out)
        return str(client["lines"].rpartition("# Python\n")[2])

    return lines


@pytest.mark.parametrize(
    ("name", "call", "path"),
    [
        (
            "openai-python",
            "client.chat.completions.create(model='m', messages=messages)",
            "/openai/v1/chat/completions",
        ),
        (
            "anthropic-python",
            "client.messages.create(model='m', max_tokens=5, messages=messages)",
            "/anthropic/v1/messages",
        ),
        (
            "azure",
            "client.chat.completions.create(model='d', messages=messages)",
            "/azure/openai/deployments/d/chat/completions?api-version=2024-10-21",
        ),
    ],
)
def test_the_lines_bring_the_real_client_here_with_its_labels(
    name: str,
    call: str,
    path: str,
    lines_of: Function,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "AZURE_OPENAI_API_KEY"):
        monkeypatch.setenv(variable, "not-a-key")
    names: dict[str, Any] = {"messages": MESSAGES}
    exec(lines_of(name), names)
    with names["client"], pytest.raises(Exception, match="no"):
        exec(call, names)
    asked, headers = recorder.asked[0]
    assert asked == path
    assert collect(headers.items(), {}) == {"feature": "chat", "user_id": "ana"}


def test_the_lines_bring_googles_client_here_with_its_labels(
    lines_of: Function, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
    monkeypatch.setenv("GEMINI_API_KEY", "not-a-key")
    names: dict[str, Any] = {}
    exec(lines_of("google-genai"), names)
    with pytest.raises(names["genai"].errors.APIError):
        names["client"].models.generate_content(model="m", contents="Hello")
    names["client"].close()
    asked, headers = recorder.asked[0]
    assert asked.startswith("/gemini/v1")
    assert asked.endswith("/models/m:generateContent")
    assert collect(headers.items(), {}) == {"feature": "chat", "user_id": "ana"}


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_every_address_in_the_lines_leads_to_a_provider(client: Any, run: Function) -> None:
    text = run("clients", client.name).out
    addresses = [part.split('"')[0] for part in text.split("http://127.0.0.1:8080")[1:]]
    assert addresses
    for address in addresses:
        path = address.split()[0].rstrip(",\\")
        if "PROVIDER" not in path:
            assert match(path, BUILT_IN, default="not given").provider in BUILT_IN


def test_all_are_shown_without_a_name(run: Function) -> None:
    out = run("clients").out
    assert all(client.title in out for client in CLIENTS)
    assert "{url}" not in out
    assert "{labels}" not in out


def test_a_part_of_a_name_is_enough(run: Function) -> None:
    out = run("clients", "claude").out
    assert "ANTHROPIC_BASE_URL=http://127.0.0.1:8080/anthropic" in out
    assert "from openai" not in out


def test_an_unknown_client_is_told_with_those_known(run: Function) -> None:
    ran = run("clients", "gorq")
    assert ran.code == 2
    assert "Did you mean groq?" in ran.err


@pytest.mark.parametrize(
    ("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("10.1.2.3", "10.1.2.3")]
)
def test_the_address_is_one_that_a_client_can_use(run: Function, host: str, shown: str) -> None:
    settings = Settings(server=Server(host=host, port=9000))
    assert f"http://{shown}:9000/openai/v1" in run("clients", "curl", settings=settings).out
