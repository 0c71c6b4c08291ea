"""The demo provider's faults and its ledger, seen from raw sockets."""

from __future__ import annotations

import gzip
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from sample_data.demo.faults import KNOWN
from sample_data.demo.ledger import Ledger

CHAT = "/v1/chat/completions"
Reply = tuple[int, dict[str, str], bytes]


def _connect(url: str, timeout: float = 10) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout)


def _head(method: str, path: str, length: int, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: demo", f"content-length: {length}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _exchange(
    url: str, path: str, body: bytes, *, method: str = "POST", **headers: str
) -> tuple[bytes, bytes]:
    """The raw head and the raw body, read until the server closes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with _connect(url) as connection:
        head = _head(method, path, len(body), {**named, "connection": "close"})
        connection.sendall(head + body)
        received = b""
        while data := connection.recv(65536):
            received += data
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, rest


def _chat(model: str = "gpt-4o", **fields: Any) -> bytes:
    messages = [{"role": "user", "content": "Say something kind about Mondays."}]
    return json.dumps({"model": model, "messages": messages, **fields}).encode()


def _status(head: bytes) -> int:
    return int(head.split(b" ", 2)[1])


def _ledger(url: str, test_id: str) -> list[dict[str, Any]]:
    _, body = _exchange(url, "/ledger", b"", method="GET")
    return [entry for entry in json.loads(body) if entry["test_id"] == test_id]


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503, 529])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, _chat()),
        ("/v1/messages", _chat("claude-haiku-4-5", max_tokens=9)),
        ("/v1/models/gemini-2.5-pro:generateContent", b'{"contents":[{"parts":[{"text":"x"}]}]}'),
    ],
)
def test_a_status_fault_is_worded_as_the_provider_would(
    demo_url: str, status: int, path: str, body: bytes
) -> None:
    head, reply = _exchange(demo_url, path, body, demo_fault=str(status), x_api_key="sk-secret")
    assert _status(head) == status
    error = json.loads(reply)["error"]
    assert error["message"]
    assert ("sk-secret" in error["message"]) is (status == 401)
    assert (b"retry-after: 1" in head.lower()) is (status == 429)


def test_an_unknown_fault_lists_the_known_ones(demo_url: str) -> None:
    head, reply = _exchange(demo_url, CHAT, _chat("gpt-4o!boom"))
    assert _status(head) == 400
    message = json.loads(reply)["error"]["message"]
    assert all(name in message for name in KNOWN)


@pytest.mark.parametrize("fault", ["slow=much", "cut=-1", "drip=nan", "hang=inf"])
def test_a_fault_with_a_bad_value_is_refused(demo_url: str, fault: str) -> None:
    head, _ = _exchange(demo_url, CHAT, _chat(), demo_fault=fault)
    assert _status(head) == 400


@pytest.mark.parametrize(
    ("path", "body"), [(CHAT, b"{nonsense"), ("/v1/messages", b"[1]"), (CHAT, b"")]
)
def test_a_body_that_is_no_json_object_is_refused(demo_url: str, path: str, body: bytes) -> None:
    head, reply = _exchange(demo_url, path, body)
    assert _status(head) == 400
    assert json.loads(reply)["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": []},
        {"messages": "x"},
        {"messages": [1, None]},
        {"n": 0},
        {"n": 99},
        {"max_tokens": "many"},
        {"model": 7},
    ],
)
def test_a_field_of_the_wrong_kind_is_refused(demo_url: str, wrong: dict[str, Any]) -> None:
    head, reply = _exchange(demo_url, CHAT, _chat(**{"model": "gpt-4o", **wrong}))
    assert _status(head) == 400
    assert json.loads(reply)["error"]["message"]


@pytest.mark.parametrize(
    "odd",
    [
        {"tools": [1, {"function": None}]},
        {"tools": {}, "tool_choice": [3]},
        {"messages": [{}]},
        {"messages": [{"role": "user", "content": [None, 3, {"type": "image_url"}]}]},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"$ref": "#"}}}},
        {"messages": [{"role": "user", "content": "lone \ud800 half"}]},
        {"stream_options": 3, "stream": 1},
    ],
)
def test_odd_but_harmless_fields_are_tolerated(demo_url: str, odd: dict[str, Any]) -> None:
    head, _ = _exchange(demo_url, CHAT, _chat(**odd))
    assert _status(head) in (200, 400)


def test_messages_without_max_tokens_are_refused(demo_url: str) -> None:
    head, reply = _exchange(demo_url, "/v1/messages", _chat("claude-haiku-4-5"))
    assert _status(head) == 400
    assert json.loads(reply)["error"]["message"].startswith("max_tokens")


def test_unknown_paths_and_methods_are_not_found(demo_url: str) -> None:
    for method, path in (("POST", "/v1/nothing"), ("GET", CHAT), ("PUT", CHAT), ("GET", "/")):
        head, reply = _exchange(demo_url, path, b"", method=method)
        assert _status(head) == 404
        assert json.loads(reply)["error"]["type"] == "invalid_request_error"


def test_reset_gives_no_answer_at_all(demo_url: str) -> None:
    with pytest.raises(ConnectionResetError):
        _exchange(demo_url, CHAT, _chat("gpt-4o!reset"))


def test_cut_ends_a_stream_without_its_last_chunk(demo_url: str) -> None:
    head, body = _exchange(demo_url, CHAT, _chat("gpt-4o!cut=2", stream=True), x_test_id="cut")
    assert _status(head) == 200
    assert body.count(b"data: ") == 2
    assert not body.endswith(b"0\r\n\r\n")
    assert [entry["sent"] for entry in _ledger(demo_url, "cut")] == [False]


def test_cut_sends_half_of_a_whole_body(demo_url: str) -> None:
    head, body = _exchange(demo_url, CHAT, _chat("gpt-4o!cut"))
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    assert len(body) == length // 2


def test_drip_sends_a_whole_body_unharmed(demo_url: str) -> None:
    _, plain = _exchange(demo_url, CHAT, _chat())
    _, dripped = _exchange(demo_url, CHAT, _chat("gpt-4o!drip=0.001"))
    assert json.loads(dripped)["choices"] == json.loads(plain)["choices"]


def test_hang_never_answers_and_ends_with_the_client(demo_url: str) -> None:
    body = _chat("gpt-4o!hang")
    with _connect(demo_url, timeout=0.2) as connection:
        connection.sendall(_head("POST", CHAT, len(body), {"x-test-id": "hang"}) + body)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    assert [entry["sent"] for entry in _ledger(demo_url, "hang")] == [False]


def test_a_client_that_leaves_mid_stream_is_not_counted_as_served(demo_url: str) -> None:
    body = _chat("gpt-4o!drip=0.2", stream=True)
    with _connect(demo_url) as connection:
        connection.sendall(_head("POST", CHAT, len(body), {"x-test-id": "left"}) + body)
        assert connection.recv(65536)
    first = _ledger(demo_url, "left")
    assert [entry["sent"] for entry in first] == [False]
    assert first[0]["response_bytes"] > 0


def test_no_usage_leaves_it_out(demo_url: str) -> None:
    for path, body in (
        (CHAT, _chat("gpt-4o!no-usage")),
        (CHAT, _chat("gpt-4o!no-usage", stream=True, stream_options={"include_usage": True})),
        ("/v1/messages", _chat("claude-haiku-4-5!no-usage", max_tokens=99, stream=True)),
    ):
        head, reply = _exchange(demo_url, path, body)
        assert _status(head) == 200
        assert b"tokens" not in reply


def test_bad_json_is_a_200_nobody_can_read(demo_url: str) -> None:
    head, reply = _exchange(demo_url, CHAT, _chat("gpt-4o!bad-json"))
    assert _status(head) == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply)


def test_empty_has_a_head_only(demo_url: str) -> None:
    head, reply = _exchange(demo_url, CHAT, _chat("gpt-4o!empty"))
    assert (_status(head), reply) == (200, b"")
    _, reply = _exchange(demo_url, CHAT, _chat("gpt-4o!empty", stream=True))
    assert reply == b"0\r\n\r\n"


def test_gemini_array_stays_an_array_when_it_fails_midway(demo_url: str) -> None:
    path = "/v1beta/models/gemini-2.5-flash!error-in-stream=1:streamGenerateContent"
    body = b'{"contents":[{"parts":[{"text":"Talk about tea"}]}]}'
    _, reply = _exchange(demo_url, path.replace("!error-in-stream=1", ""), body)
    parts = json.loads(_unchunked(reply))
    assert parts[-1]["candidates"][0]["finishReason"] == "STOP"
    _, reply = _exchange(demo_url, path, body)
    parts = json.loads(_unchunked(reply))
    assert [next(iter(part)) for part in parts] == ["candidates", "error"]


def _unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        whole += rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :]
    return whole


def test_whole_answers_are_compressed_where_the_client_takes_it(demo_url: str) -> None:
    head, body = _exchange(demo_url, CHAT, _chat(n=3), accept_encoding="gzip, deflate")
    assert b"content-encoding: gzip" in head.lower()
    assert json.loads(gzip.decompress(body))["object"] == "chat.completion"


def test_answers_carry_the_providers_own_headers(demo_url: str) -> None:
    head, _ = _exchange(demo_url, CHAT, _chat())
    for name in (b"x-request-id: req_", b"openai-processing-ms: ", b"openai-version: "):
        assert name in head.lower()
    head, _ = _exchange(demo_url, "/v1/messages", _chat("claude-haiku-4-5", max_tokens=9))
    for name in (b"request-id: req_", b"anthropic-ratelimit-requests-remaining: "):
        assert name in head.lower()


def test_the_ledger_tells_what_was_reported(demo_url: str) -> None:
    _, body = _exchange(demo_url, CHAT, _chat("gpt-4o-mini"), x_test_id="books")
    (entry,) = _ledger(demo_url, "books")
    assert entry["usage"] == json.loads(body)["usage"]
    assert (entry["path"], entry["model"], entry["sent"]) == (CHAT, "gpt-4o-mini", True)
    assert entry["response_bytes"] == len(body)


def test_the_ledger_is_bounded_and_numbers_go_on_when_it_is_cleared() -> None:
    ledger = Ledger(limit=2)
    for _ in range(3):
        ledger.open("GET", "/", None)
    assert [entry["number"] for entry in json.loads(ledger.as_json())] == [2, 3]
    ledger.clear()
    assert ledger.open("GET", "/", None).number == 4


def test_a_body_nested_too_deep_is_refused(demo_url: str) -> None:
    for depth in (300, 900, 100_000):
        tools = "[" * depth + "]" * depth
        body = _chat()[:-1] + b', "tools": ' + tools.encode() + b"}"
        head, _ = _exchange(demo_url, CHAT, body)
        assert _status(head) == 400


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_requests_under_way(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "sample_data.demo_provider", "--pace", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            body = _chat("gpt-4o!hang")
            with _connect(url) as connection:
                connection.sendall(_head("POST", CHAT, len(body), {"x-test-id": "end"}) + body)
                _until(lambda: bool(_ledger(url, "end")))
                process.send_signal(number)
                _, errors = process.communicate(timeout=10)
            assert (process.returncode, errors) == (0, "")
        finally:
            process.kill()
