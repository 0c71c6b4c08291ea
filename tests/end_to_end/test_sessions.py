"""WebSocket sessions from a client to the row, with real sockets and processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as ws_connect
from websockets.sync.server import ServerConnection

from analytics.poster import Poster
from tests.support.posted import Row, select
from tests.support.processes import start
from tests.support.websocket_servers import sessions

LIVE = "ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
MODEL = "gemini-2.5-flash-native-audio-preview-09-2025"
SOUND = "AbC0" * 2_000
TURN = {
    "promptTokenCount": 100,
    "responseTokenCount": 50,
    "totalTokenCount": 150,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 60},
        {"modality": "AUDIO", "tokenCount": 40},
    ],
    "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 50}],
}
# ai.google.dev/pricing: text 0.50, sound 3 in and 12 out, for a million tokens
USD_OF_A_TURN = Decimal("0.00075")


def answer_live(session: ServerConnection) -> None:
    """Speaks as Gemini does: sound and a call, and in the end of each turn what it used."""
    for message in session:
        said = json.loads(message)
        if "setup" in said:
            session.send(json.dumps({"setupComplete": {}}).encode())
        elif "toolResponse" not in said:
            sound = {"inlineData": {"mimeType": "audio/pcm", "data": SOUND}}
            session.send(json.dumps({"serverContent": {"modelTurn": {"parts": [sound]}}}).encode())
            calls = [{"id": "c-1", "name": "look", "args": {}}]
            session.send(json.dumps({"toolCall": {"functionCalls": calls}}).encode())
            session.send(
                json.dumps({"serverContent": {"turnComplete": True}, "usageMetadata": TURN})
            )


def speak(session: ClientConnection, turns: int) -> None:
    session.send(json.dumps({"setup": {"model": f"models/{MODEL}"}}))
    session.recv()
    for number in range(turns):
        words: dict[str, Any] = {"role": "user", "parts": [{"text": f"Look {number}."}]}
        if number % 2:
            words["parts"].append({"inlineData": {"mimeType": "audio/pcm", "data": SOUND}})
        session.send(json.dumps({"clientContent": {"turns": [words], "turnComplete": True}}))
        while "turnComplete" not in str(session.recv()):
            pass


@contextmanager
def rows_after(
    folder: Path, turns: int, *, compression: str | None, **capture: Any
) -> Iterator[Row]:
    """The row of a session of so many turns."""
    with sessions(answer_live) as port:
        provider = {"base_url": f"http://127.0.0.1:{port}"}
        proxy = start(folder, {"providers.gemini": provider, "capture": capture})
        try:
            url = f"ws://127.0.0.1:{proxy.port}/with/feature=voice/gemini/{LIVE}?key=secret-key"
            with ws_connect(url, compression=compression, max_size=None) as session:
                assert session.response is not None
                exchange_id = session.response.headers["meterline-exchange-id"]
                speak(session, turns)
            proxy.closed(exchange_id)
        finally:
            assert proxy.stop() == 0
    poster = Poster(proxy.data_dir)
    assert poster.post_once().rows == 1
    poster.close()
    (row,) = select(proxy.data_dir / "meterline.duckdb", "SELECT * FROM exchanges")
    yield row


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("content", ["full", "usage"])
def test_a_live_session_is_one_row_with_all_that_it_used(
    tmp_path: Path, compression: str | None, content: str
) -> None:
    with rows_after(tmp_path, 3, compression=compression, content=content) as row:
        assert (row["dialect"], row["operation"], row["feature"]) == (
            *("gemini_live", "realtime"),
            "voice",
        )
        assert (row["request_model"], row["status"], row["outcome"]) == (MODEL, 101, "completed")
        assert (row["input_tokens"], row["output_tokens"]) == (300, 150)
        assert (row["audio_input_tokens"], row["audio_output_tokens"]) == (120, 150)
        assert (row["tool_call_count"], row["message_count"]) == (3, 3)
        assert (row["cost_usd"], row["cost_status"]) == (3 * USD_OF_A_TURN, "priced")
        assert (row["truncated"], row["parse_error"]) == (False, None)


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("content", ["full", "usage"])
def test_a_session_longer_than_the_copy_keeps_its_usage(
    tmp_path: Path, compression: str | None, content: str
) -> None:
    limits = {"max_body_bytes": 64_000, "content": content}
    turns = 30
    with rows_after(tmp_path, turns, compression=compression, **limits) as row:
        assert (row["input_tokens"], row["output_tokens"]) == (100 * turns, 50 * turns)
        assert row["tool_call_count"] == turns
        assert row["message_count"] in (turns, None)  # the client's sound may have taken the room
        assert (row["cost_usd"], row["cost_status"]) == (turns * USD_OF_A_TURN, "priced")
        assert (row["usage_source"], row["parse_error"]) == ("provider", None)
        if compression is None:
            assert row["truncated"]


def test_usage_that_did_not_fit_is_unknown_and_not_too_low(tmp_path: Path) -> None:
    with rows_after(tmp_path, 120, compression=None, max_body_bytes=20_000) as row:
        assert (row["input_tokens"], row["output_tokens"]) == (None, None)
        assert (row["cost_usd"], row["cost_status"]) == (None, "unpriced")
        assert (row["truncated"], row["parse_error"]) == (True, "frames are missing")
