from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from analytics import store
from analytics.reparse import DERIVED
from proxy.config import Settings
from proxy.exchange import Content, Exchange

Function = Callable[..., Any]
ANSWER = {
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "message": {"content": "Yes."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 30, "completion_tokens": 2, "total_tokens": 32},
}


def _content(exchange: Exchange) -> Content:
    return Content(
        exchange_id=exchange.exchange_id,
        started_at=exchange.started_at,
        target="/v1/chat/completions",
        request_headers="[]",
        request_body=b'{"model": "gpt-4o-mini", "messages": []}',
        response_headers="[]",
        response_body=json.dumps(ANSWER).encode(),
    )


@pytest.fixture
def unread(post: Function) -> None:
    """Two exchanges that were posted when nobody could read them, one without contents."""
    known = ("request_model", "response_model", "cost_usd", "cost_status", "usage_source")
    nothing: dict[str, Any] = dict.fromkeys((*known, "input_tokens", "output_tokens"))
    posted = {**nothing, "method": "POST", "outcome": "completed", "response_bytes": 150}
    post({**posted, "content": _content}, posted)


@pytest.mark.usefixtures("unread")
def test_what_could_not_be_read_then_is_read_now(run: Function) -> None:
    ran = run("reparse")
    assert ran.code == 0
    assert "1 exchange read again, 1 changed." in ran.out
    assert "1 exchange without contents cannot be read again, and stay" in ran.out
    sql = "SELECT response_model, input_tokens, cost_status FROM exchanges ORDER BY started_at"
    rows = json.loads(run("sql", sql, "--format", "json").out)
    assert [row["input_tokens"] for row in rows] == [30, None]
    assert rows[0]["response_model"] == "gpt-4o-mini-2024-07-18"
    assert rows[0]["cost_status"] == "priced"
    assert "1 exchange read again, 0 changed." in run("reparse").out


@pytest.mark.usefixtures("unread")
def test_a_dry_run_tells_by_model_and_column(run: Function) -> None:
    ran = run("reparse", "--dry-run", "--format", "json")
    changes = {(row["model"], row["column"]): row for row in json.loads(ran.out)}
    change = changes["gpt-4o-mini-2024-07-18", "input_tokens"]
    assert (change["exchanges"], change["filled"], change["emptied"]) == (1, 1, 0)
    assert {column for _, column in changes} <= set(DERIVED)
    assert "would change" in run("reparse", "--dry-run").out


@pytest.mark.usefixtures("unread")
def test_a_provider_narrows_it(run: Function) -> None:
    assert "0 exchanges read again" in run("reparse", "--provider", "anthropic").out
    assert "1 exchange read again" in run("reparse", "--provider", "openai", "--since", "1d").out


@pytest.mark.usefixtures("unread")
def test_what_cannot_be_read_is_told_by_the_exit_code(run: Function, settings: Settings) -> None:
    with store.write(settings.store_path) as con:
        con.execute("UPDATE contents SET request_headers = '[1]'")
    ran = run("reparse")
    assert ran.code == 1
    assert "1 exchange could not be read" in ran.out


def test_bad_input_and_a_missing_store_are_told(run: Function) -> None:
    assert run("reparse", "--until", "soon").code == 2
    ran = run("reparse")
    assert ran.code == 1
    assert "does not exist yet" in ran.err
