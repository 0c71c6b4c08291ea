from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from proxy.config import Settings
from proxy.exchange import Attempt, Content, Decision, Exchange
from proxy.journal import JournalWriter, Opened

Function = Callable[..., Any]
ID = "01976b1e-1111-7222-8333-444455556666"
OTHER = "01976b1e-9999-7222-8333-444455550000"
REQUEST = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say \x1b[31mhi"}]}


def content(**values: Any) -> Callable[[Exchange], Content]:
    defaults: dict[str, Any] = {
        "target": "/v1/chat/completions?x=1",
        "request_headers": '[["content-type", "application/json"]]',
        "request_body": json.dumps(REQUEST).encode(),
        "response_headers": '[["content-type", "application/json"], ["x-request-id", "r1"]]',
        "response_body": b'{"ok": true}',
    }

    def made(exchange: Exchange) -> Content:
        given = defaults | values
        return Content(exchange_id=exchange.exchange_id, started_at=exchange.started_at, **given)

    return made


def tried(number: int, status: int, error: str | None) -> Callable[[Exchange], Attempt]:
    def made(exchange: Exchange) -> Attempt:
        return Attempt(
            exchange_id=exchange.exchange_id,
            number=number,
            started_at=exchange.started_at,
            status=status,
            error_type=error,
        )

    return made


def test_everything_of_an_exchange_is_there(post: Function, run: Function) -> None:
    post(
        {
            "exchange_id": ID,
            "method": "POST",
            "cost_usd": Decimal("0.000123"),
            "tags": {"team": "a"},
            "attempts_made": [tried(1, 503, "http_503"), tried(2, 200, None)],
            "decisions": [
                lambda e: Decision(
                    exchange_id=e.exchange_id, number=1, policy="retry", reason="it said 503"
                )
            ],
            "content": content(),
        }
    )
    out = run("show", ID).out
    assert f"Exchange {ID}" in out
    assert "$0.000123" in out
    assert '{"team":"a"}' in out
    assert "http_503" in out
    assert "it said 503" in out
    assert "/v1/chat/completions?x=1" in out
    assert "x-request-id: r1" in out
    assert '"role": "user"' in out
    assert "NULL: session_id" not in out  # environment and others stand in the same line
    assert "session_id" in out


def test_nothing_said_reaches_the_terminal_as_it_is(post: Function, run: Function) -> None:
    evil = "\x1b]52;c;AAAA\x07\u202e\x9b2J"
    post(
        {
            "exchange_id": ID,
            "error_message": evil,
            "content": content(
                target=f"/x{evil}",
                response_headers=json.dumps([["x-a", evil]]),
                response_body=evil.encode() + b"\xff\x00",
            ),
        }
    )
    for form in ("table", "json"):
        out = run("show", ID, "--format", form).out
        assert not set(out) & {"\x1b", "\x07", "\u202e", "\x9b", "\x00"}
        assert "52;c;AAAA" in out


def test_a_part_of_the_id_is_enough_if_only_one_has_it(post: Function, run: Function) -> None:
    post({"exchange_id": ID}, {"exchange_id": OTHER})
    for part in ("55556666", "01976b1e-1111", ID.upper(), "…55556666"):
        assert run("show", part).out.startswith(f"Exchange {ID}")
    ran = run("show", "01976b1e")
    assert ran.code == 1
    assert "fits several exchanges" in ran.err
    assert ID in ran.err
    assert OTHER in ran.err


def test_an_unknown_id_is_told_apart_from_what_is_no_id(post: Function, run: Function) -> None:
    post({})
    ran = run("show", "ffffffff")
    assert ran.code == 1
    assert "no exchange has the id" in ran.err
    assert run("show", "hello").code == 2
    assert run("show", "abc").code == 2


def test_one_that_waits_in_the_journal_is_told(
    post: Function, run: Function, settings: Settings
) -> None:
    journal = JournalWriter(settings.journal_dir)
    journal.append(Opened(exchange_id=ID, node="n", started_at=0))
    journal.close()
    for _ in range(2):  # without a store, and with one
        ran = run("show", ID)
        assert ran.code == 1
        assert "in the journal and not posted yet" in ran.err
        post({})


def test_long_bodies_are_bounded_and_say_so(post: Function, run: Function) -> None:
    post({"exchange_id": ID, "content": content(response_body=b"word " * 1000)})
    out = run("show", ID, "--max-bytes", "100").out
    assert "4,900 more bytes; --max-bytes 0 shows all" in out
    assert out.count("word ") < 50
    assert run("show", ID, "--max-bytes", "0").out.count("word ") == 1000


def test_a_compressed_body_is_read(post: Function, run: Function) -> None:
    post(
        {
            "exchange_id": ID,
            "content": content(
                response_headers='[["content-encoding", "gzip"]]',
                response_body=gzip.compress(b'{"answer": "hi"}'),
            ),
        }
    )
    assert '"answer": "hi"' in run("show", ID).out
    document = json.loads(run("show", ID, "--format", "json").out)
    assert document["content"]["response"]["json"] == {"answer": "hi"}
    assert document["content"]["request"]["json"] == REQUEST


def test_a_streamed_answer_is_put_together(post: Function, run: Function) -> None:
    pieces = ("Good ", "morn", "ing")
    events = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    post(
        {
            "exchange_id": ID,
            "method": "POST",
            "content": content(
                response_headers='[["content-type", "text/event-stream"]]',
                response_body=body.encode(),
            ),
        }
    )
    out = run("show", ID).out
    assert "Answer, put together from the stream\n  Good morning" in out
    assert 'data: {"choices"' in out


def test_missing_bytes_are_told(post: Function, run: Function) -> None:
    post({"exchange_id": ID, "content": content(response_body=b"head tail", response_gap=5)})
    assert "bytes are missing from offset 5 on" in run("show", ID).out


def test_without_content_the_columns_are_shown(post: Function, run: Function) -> None:
    post({"exchange_id": ID})
    out = run("show", ID).out
    assert "none is kept" in out
    assert json.loads(run("show", ID, "--format", "json").out)["content"] is None


def test_deeply_nested_json_is_shown_as_it_came(post: Function, run: Function) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    post({"exchange_id": ID, "content": content(response_body=deep)})
    for form in ("table", "json"):
        ran = run("show", ID, "--format", form)
        assert ran.code == 0
        assert "[[[[" in ran.out
