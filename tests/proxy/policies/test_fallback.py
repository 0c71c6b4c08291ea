"""Fallback: elsewhere where one fails, with model and path as they must be there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import orjson
import pytest

from proxy.errors import AttemptFailed, Broken, NotSent
from proxy.policies.fallback import decide
from proxy.rules.settings import Fallback
from tests.proxy.policies.conftest import (
    CHAT,
    WORD,
    Ruled,
    actions,
    chat,
    closed,
    last_closed,
    resetting,
    statuses,
    streaming,
)
from tests.support.posted import select
from tests.support.processes import wait_for
from tests.support.raw import (
    FakeProvider,
    Message,
    Wire,
    answer,
    answering,
    connect,
    request,
)
from tests.support.services import Provider, meterline

ELSEWHERE = """
[[rules]]
name = "elsewhere"
when = { model = "gpt-4o*" }
fallback = { to = ["second/llama-3.3", "behind"], deadline_seconds = 20 }
"""
BUSY = answer(b'{"first":1}', status=b"503 Busy")
OK = answer(b'{"model":"llama-3.3","usage":{"prompt_tokens":9,"completion_tokens":1}}')


@pytest.fixture
def second() -> Iterator[FakeProvider]:
    """Another provider, at a path of its own."""
    fake = FakeProvider()
    yield fake
    fake.close()


@pytest.fixture
def fallen(ruled: Ruled, second: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> Callable:
    monkeypatch.setenv("SECOND_KEY", "sk-second-0123456789")

    def begin(rules: str = ELSEWHERE) -> object:
        own = {"base_url": second.url, "openai_path": "/own/v1", "api_key_env": "SECOND_KEY"}
        return ruled(rules, tables={"providers.second": own})

    return begin


@pytest.mark.parametrize("stream", [False, True])
def test_the_next_upstream_serves_with_its_own_model_path_and_key(
    fallen: Callable, provider: FakeProvider, second: FakeProvider, stream: bool
) -> None:
    provider.script = answering(BUSY)
    second.script = streaming(WORD) if stream else answering(OK)
    proxy = fallen()
    fields = [
        ("Authorization", "Bearer sk-client-0123456789"),
        ("OpenAI-Organization", "org-1"),
        ("Cookie", "a=secret-cookie-1"),
        ("X-Else", "1"),
    ]
    seen = chat(proxy.port, stream=stream, fields=fields, target=f"{CHAT}?a=1&key=sk-query-1")
    assert seen.status == 200
    assert (WORD in seen.body) is stream
    (asked,) = second.requests
    assert asked.target == b"/own/v1/chat/completions?a=1"
    assert orjson.loads(asked.body)["model"] == "llama-3.3"
    assert asked.values(b"authorization") == [b"Bearer sk-second-0123456789"]
    assert asked.values(b"openai-organization") == asked.values(b"cookie") == []
    assert asked.values(b"x-else") == [b"1"]
    record = closed(proxy, seen)
    assert [(made.upstream, made.status) for made in record.attempts] == [
        ("openai", 503),
        ("second", 200),
    ]
    assert (record.upstream, record.provider, record.model) == ("second", "second", "llama-3.3")
    assert actions(record) == [("fallback", "moved to second/llama-3.3")]
    assert record.decisions[0].reason == "openai: 503"
    assert record.outcome == "completed"


ROUNDABOUT = """
[[rules]]
name = "away"
route = { to = "second/llama-3.3" }

[[rules]]
name = "home"
fallback = { to = ["behind/other", "openai/gpt-4o"] }
"""


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_comes_back_has_the_credential_of_its_client_again(
    fallen: Callable, provider: FakeProvider, second: FakeProvider, stream: bool
) -> None:
    good = streaming(WORD) if stream else answering(OK)

    def script(wire: Wire, message: Message) -> None:
        answering(BUSY)(wire, message) if b"prefix" in message.target else good(wire, message)

    provider.script, second.script = script, answering(BUSY)
    proxy = fallen(ROUNDABOUT)
    mine = [("Authorization", "Bearer sk-client-0123456789"), ("OpenAI-Organization", "org-1")]
    target = f"{CHAT}?a=1&api_key=sk-query-123"
    seen = chat(proxy.port, model="gpt-4o-mini", stream=stream, fields=mine, target=target)
    assert seen.status == 200
    behind, home = provider.requests
    assert behind.values(b"authorization") == behind.values(b"openai-organization") == []
    assert b"sk-" not in behind.target + second.requests[0].target
    assert second.requests[0].values(b"authorization") == [b"Bearer sk-second-0123456789"]
    assert home.target == b"/v1/chat/completions?a=1&api_key=sk-query-123"
    assert home.values(b"authorization") == [b"Bearer sk-client-0123456789"]
    assert home.values(b"openai-organization") == [b"org-1"]
    assert orjson.loads(home.body)["model"] == "gpt-4o"
    record = closed(proxy, seen)
    assert [made.upstream for made in record.attempts] == ["second", "behind", "openai"]
    assert (record.upstream, record.provider, record.model) == ("openai", None, "gpt-4o")


def test_the_row_names_who_served_and_bills(
    fallen: Callable, provider: FakeProvider, second: FakeProvider
) -> None:
    provider.script, second.script = answering(BUSY), answering(OK)
    proxy = fallen()
    seen = chat(proxy.port)
    closed(proxy, seen)
    config = proxy.data_dir.parent / "meterline.toml"
    posted = meterline("post", "--once", "--config", str(config))
    assert posted.returncode == 0, posted.stderr
    (row,) = select(proxy.data_dir / "meterline.duckdb", "FROM exchanges")
    assert (row["provider"], row["upstream"]) == ("second", "second")
    assert (row["request_model"], row["response_model"]) == ("gpt-4o-mini", "llama-3.3")
    assert row["attempts"] == 2
    assert row["rules"] == ["elsewhere"]


def test_where_all_fail_the_client_gets_what_the_first_said(
    fallen: Callable, provider: FakeProvider, second: FakeProvider
) -> None:
    def script(wire: Wire, message: Message) -> None:
        wire.send(BUSY if message.target.startswith(b"/v1") else answer(status=b"404 No"))

    provider.script = script
    second.script = answering(answer(b'{"second":1}', status=b"400 Bad"))
    proxy = fallen()
    seen = chat(proxy.port)
    assert (seen.status, seen.body) == (503, b'{"first":1}')
    record = closed(proxy, seen)
    assert statuses(record) == [503, 400, 404]
    assert (record.upstream, record.provider) == ("openai", None)
    assert actions(record)[-1] == ("fallback", "gave the answer of openai")


@pytest.mark.parametrize("status", [b"400 Bad", b"401 Who", b"404 No"])
def test_what_the_client_did_wrong_goes_nowhere_else(
    fallen: Callable, provider: FakeProvider, second: FakeProvider, status: bytes
) -> None:
    provider.script = answering(answer(status=status))
    assert chat(fallen().port).status == int(status[:3])
    assert second.requests == []


def test_only_calls_of_the_rule_move(
    fallen: Callable, provider: FakeProvider, second: FakeProvider
) -> None:
    provider.script = answering(BUSY)
    assert chat(fallen().port, model="o3").status == 503
    assert second.requests == []


def test_a_broken_connection_moves_what_leaves_nothing_behind(
    fallen: Callable, provider: FakeProvider, second: FakeProvider
) -> None:
    provider.script, second.script = resetting, answering(OK)
    proxy = fallen(ELSEWHERE.replace('when = { model = "gpt-4o*" }', ""))
    assert chat(proxy.port).status == 200
    with connect(proxy.port) as wire:
        wire.send(request("POST", "/openai/v1/batches", body=b'{"model":"x"}'))
        assert wire.answer("POST").status == 502
    assert len(second.requests) == 1


def test_a_silent_upstream_has_only_so_much_patience(
    fallen: Callable, provider: FakeProvider, second: FakeProvider
) -> None:
    provider.script = lambda _wire, _message: None
    second.script = answering(OK)
    proxy = fallen(ELSEWHERE.replace("deadline_seconds = 20", "patience_seconds = 0.2"))
    seen = chat(proxy.port)
    assert seen.status == 200
    assert [made.error_type for made in closed(proxy, seen).attempts] == ["deadline", None]


def test_the_whole_chain_has_a_deadline(
    fallen: Callable, provider: FakeProvider, second: FakeProvider
) -> None:
    provider.script = second.script = lambda _wire, _message: None
    proxy = fallen(ELSEWHERE.replace("deadline_seconds = 20", "deadline_seconds = 0.2"))
    assert chat(proxy.port).status == 504
    record = last_closed(proxy)
    assert record.outcome == "timed_out"
    assert [made.upstream for made in record.attempts] == ["openai"]
    assert record.decisions[0].reason == "no time is left"


def test_where_all_rest_the_least_bad_is_asked(
    fallen: Callable, provider: FakeProvider, second: FakeProvider
) -> None:
    rest = '[[rules]]\nname = "rest"\nbreaker = { minimum = 2, open_seconds = 600 }'
    rules = ELSEWHERE.replace(', "behind"', "") + rest
    provider.script = second.script = answering(BUSY)
    proxy = fallen(rules)
    assert [chat(proxy.port).status for _ in range(2)] == [503, 503]
    provider.script = second.script = answering(OK)
    seen = chat(proxy.port)
    assert seen.status == 200
    assert ("fallback", "asked openai") in actions(closed(proxy, seen))
    assert len(closed(proxy, seen).attempts) == 1


def test_retries_come_before_the_next_upstream(
    fallen: Callable, provider: FakeProvider, second: FakeProvider
) -> None:
    again = '[[rules]]\nname = "again"\nretry = { attempts = 2, first_wait_seconds = 0 }'
    provider.script, second.script = answering(BUSY), answering(OK)
    proxy = fallen(ELSEWHERE + again)
    record = closed(proxy, chat(proxy.port))
    assert statuses(record) == [503, 503, 200]
    assert [policy for policy, _ in actions(record)] == ["retry", "retry", "fallback"]


def test_a_client_that_leaves_frees_all_upstreams(
    fallen: Callable, provider: FakeProvider, second: FakeProvider
) -> None:
    provider.script = answering(BUSY)
    second.script = lambda _wire, _message: None
    proxy = fallen()
    with connect(proxy.port) as wire:
        wire.send(request("POST", CHAT, body=b'{"model":"gpt-4o"}'))
        wait_for(lambda: second.requests, "the second attempt")
        wire.reset()
    assert last_closed(proxy).outcome == "client_disconnected"
    wait_for(lambda: second.wires[0].sock.fileno() == -1, "the end of the second attempt")


def test_a_demo_model_stands_in_for_one_that_is_overloaded(ruled: Ruled, demo: Provider) -> None:
    rule = 'fallback = { to = ["openai/gpt-4o-mini"] }'
    tables = {"providers.openai": {"base_url": demo.url}}
    proxy = ruled(f'[[rules]]\nname = "other-model"\n{rule}', tables=tables)
    for stream in (False, True):
        seen = chat(proxy.port, model="gpt-4o!529", stream=stream)
        assert seen.status == 200
        assert statuses(closed(proxy, seen)) == [529, 200]


@pytest.mark.parametrize(
    ("what", "changed", "expected"),
    [
        (503, {}, True),
        (500, {}, True),
        (500, {"operation": "batch"}, False),
        (503, {"operation": "batch"}, True),
        (200, {}, False),
        (400, {}, False),
        (NotSent("m", "t"), {"whole": False}, True),
        (503, {"whole": False}, False),
        (Broken("m", "t"), {}, True),
        (Broken("m", "t"), {"operation": None}, False),
        (Broken("m", "t"), {"operation": None, "idempotent": True}, True),
    ],
)
def test_decisions(what: int | AttemptFailed, changed: dict, expected: bool) -> None:
    given = {"whole": True, "idempotent": False, "operation": "chat", **changed}
    assert decide(Fallback(to=("a",)), what, **given) is expected


def test_a_key_in_a_subprotocols_name_stays_with_its_provider(
    fallen: Callable, provider: FakeProvider, second: FakeProvider
) -> None:
    provider.script, second.script = answering(BUSY), answering(OK)
    proxy = fallen(ELSEWHERE.replace("second/llama-3.3", "second"))
    shown = ("Sec-WebSocket-Protocol", "realtime, openai-insecure-api-key.sk-client-0123456789")
    chat(proxy.port, fields=[shown])
    assert provider.requests[0].value(b"sec-websocket-protocol") == shown[1].encode()
    assert second.requests[0].value(b"sec-websocket-protocol") == b"realtime"
