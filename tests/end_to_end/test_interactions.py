"""Interactions with the google-genai package, through a real proxy, to the rows."""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from analytics.poster import Poster
from tests.support.posted import Row, select
from tests.support.processes import Meterline, start

with warnings.catch_warnings():  # the package subclasses what aiohttp does not want subclassed
    warnings.filterwarnings("ignore", "Inheritance class", DeprecationWarning)
    from google import genai
    from google.genai import types

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")

MODEL = "gemini-2.5-flash"
USAGE = {
    "total_input_tokens": 1000,
    "input_tokens_by_modality": [
        {"modality": "text", "tokens": 600},
        {"modality": "audio", "tokens": 400},
    ],
    "total_cached_tokens": 200,
    "total_output_tokens": 100,
    "total_thought_tokens": 50,
    "total_tool_use_tokens": 0,
    "total_tokens": 1150,
}
# ai.google.dev/gemini-api/docs/pricing, for a million tokens: text 0.30, cached 0.03, sound 1.00,
# output 2.50
USD = Decimal("0.000901")
TIMES = {"created": "2026-10-01T00:00:00Z", "updated": "2026-10-01T00:00:00Z"}
CALL = {"type": "function_call", "id": "f-1", "name": "look", "arguments": {}}


def interaction(status: str, *steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    said = {"id": "v1_background", "object": "interaction", "model": MODEL, "status": status}
    return {**said, **TIMES, "steps": list(steps), **more}


STREAM = [
    {
        "event_type": "interaction.created",
        "interaction": interaction("in_progress", id="v1_streamed"),
    },
    {"event_type": "step.start", "index": 0, "step": {"type": "model_output"}},
    {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "Hel"}},
    {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "lo"}},
    {"event_type": "step.stop", "index": 0},
    {"event_type": "step.start", "index": 1, "step": CALL},
    {"event_type": "step.stop", "index": 1},
    {
        "event_type": "interaction.completed",
        "interaction": interaction("requires_action", id="v1_streamed", usage=USAGE),
    },
]


class Upstream(BaseHTTPRequestHandler):
    """Answers as the Gemini API does; one in the background ends before its second poll."""

    polls = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        asked = json.loads(body or b"{}")
        if asked.get("stream"):
            events = [f"event: {e['event_type']}\ndata: {json.dumps(e)}\n\n" for e in STREAM]
            self._send("text/event-stream", "".join(events) + "event: done\ndata: [DONE]\n\n")
        else:
            self._send("application/json", json.dumps(interaction("in_progress")))

    def do_GET(self) -> None:
        type(self).polls += 1
        words = {"type": "model_output", "content": [{"type": "text", "text": "Done."}]}
        ended = interaction("completed", words, usage=USAGE)
        said = interaction("in_progress") if self.polls < 2 else ended
        self._send("application/json", json.dumps(said))

    def do_DELETE(self) -> None:
        self._send("application/json", "{}")

    def _send(self, kind: str, body: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def upstream() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Upstream,), {}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextmanager
def interactions(proxy: Meterline) -> Iterator[Any]:
    """The package's way to interactions, with a client of its own."""
    options = types.HttpOptions(
        base_url=f"{proxy.url}/gemini", headers={"Meterline-Feature": "research"}
    )
    with genai.Client(api_key="secret-key", http_options=options) as client:
        yield client.interactions


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """What a stream and one that ran in the background come to, in the order of the calls."""
    folder: Path = tmp_path_factory.mktemp("meterline")
    with upstream() as url:
        proxy = start(folder, {"providers.gemini": {"base_url": url}})
        try:
            with interactions(proxy) as client:
                events = list(client.create(model=MODEL, input="Look.", stream=True))
                assert [e.event_type for e in events] == [e["event_type"] for e in STREAM]
                made = client.create(model=MODEL, input="Dig.", background=True)
                while made.status == "in_progress":
                    made = client.get(made.id)
                assert client.get(made.id).usage.total_tokens == 1150
                client.delete(made.id)
        finally:
            assert proxy.stop() == 0
    poster = Poster(proxy.data_dir)
    assert poster.post_once().rows == 6
    poster.close()
    return select(
        proxy.data_dir / "meterline.duckdb", "SELECT * FROM exchanges ORDER BY exchange_id"
    )


def test_each_call_is_read_as_an_interaction(rows: list[Row]) -> None:
    assert {(row["dialect"], row["feature"], row["parse_error"]) for row in rows} == {
        ("gemini_interactions", "research", None)
    }
    assert [row["operation"] for row in rows] == [
        *("generate_content", "generate_content"),
        *("retrieve", "retrieve", "retrieve", "delete"),
    ]


def test_a_stream_has_its_usage_call_and_price(rows: list[Row]) -> None:
    row = rows[0]
    assert (row["stream"], row["request_model"], row["response_model"]) == (True, MODEL, MODEL)
    assert (row["input_tokens"], row["output_tokens"]) == (1000, 150)
    assert (row["cache_read_tokens"], row["reasoning_tokens"]) == (200, 50)
    assert (row["audio_input_tokens"], row["usage_source"]) == (400, "provider")
    assert (row["finish_reasons"], row["tool_names"]) == (["requires_action"], ["look"])
    assert (row["tool_call_count"], row["message_count"]) == (1, 1)
    assert (row["cost_usd"], row["cost_status"]) == (USD, "priced")


def test_one_in_the_background_is_billed_once_by_the_poll_that_finds_its_end(
    rows: list[Row],
) -> None:
    assert [row["input_tokens"] for row in rows[1:]] == [None, None, 1000, None, None]
    assert [row["cost_usd"] for row in rows[1:]] == [0, None, USD, None, None]
    assert rows[3]["finish_reasons"] == ["completed"]
