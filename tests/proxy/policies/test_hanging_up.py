"""Who hangs up before the answer is charged the prompt that was sent, and nothing that was not."""

from __future__ import annotations

import socket
from collections.abc import Callable
from decimal import Decimal

import orjson
import pytest

from proxy.calls.served import may_be_billed
from proxy.journal import Closed
from proxy.journal.entries import AttemptMade
from proxy.limits.unanswered import Charge, told
from tests.proxy.policies.conftest import CHAT, EVENTS, Ruled, actions, chat, closed
from tests.support.posted import select
from tests.support.processes import Meterline, wait_for
from tests.support.raw import FakeProvider, Message, Wire, answer, answering, connect, request
from tests.support.services import meterline

BUDGET = '[[rules]]\nname = "cap"\nbudget = { usd = 0.004, soft = 1, expected_output_tokens = 1 }\n'
PROMPT = "word " * 2000
"""About 2,500 tokens, at list prices of gpt-4o-mini 0.000375 USD: ten of them fit."""
CHARGED = ("limit", "charged its prompt")


def silent(_wire: Wire, _message: Message) -> None:
    """No answer."""


def only_a_head(wire: Wire, _: Message) -> None:
    """The status, and no first piece."""
    wire.send(EVENTS)


def hang_up(proxy: Meterline, provider: FakeProvider, *, stream: bool) -> Closed:
    """A call whose client leaves as soon as the provider has it; its end."""
    ended, asked = len(proxy.closed_entries()), len(provider.requests)
    messages = [{"role": "user", "content": PROMPT}]
    body = orjson.dumps({"model": "gpt-4o-mini", "messages": messages, "stream": stream})
    with connect(proxy.port) as wire:
        wire.send(request("POST", CHAT, body=body))
        wait_for(lambda: len(provider.requests) > asked, "the attempt")
        wire.reset()
    wait_for(lambda: len(proxy.closed_entries()) > ended, "the end of the exchange")
    return proxy.closed_entries()[-1]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("script", [silent, only_a_head])
def test_a_budget_is_not_escaped_by_hanging_up(
    ruled: Ruled, provider: FakeProvider, stream: bool, script: Callable[[Wire, Message], None]
) -> None:
    provider.script = script
    proxy = ruled(BUDGET)
    for _ in range(10):
        record = hang_up(proxy, provider, stream=stream)
        assert (record.outcome, record.error_type) == ("client_disconnected", None)
        assert actions(record) == [CHARGED]
        charge = told(record.decisions[0].reason)
        assert charge is not None
        assert charge.tokens == pytest.approx(2520, abs=10)
        assert charge.usd == charge.tokens * Decimal("0.15") / 1_000_000
    assert chat(proxy.port, text=PROMPT, stream=stream).status == 429


@pytest.mark.parametrize("posted", [False, True])
def test_after_a_restart_the_budget_knows_who_hung_up(
    ruled: Ruled,
    provider: FakeProvider,
    start_proxy: Callable[..., Meterline],
    posted: bool,
) -> None:
    provider.script = silent
    rules = (
        BUDGET + '[[rules]]\nname = "words"\nlimit = { tokens = 999999, window_seconds = 900 }\n'
    )
    proxy = ruled(rules)
    for _ in range(9):
        hang_up(proxy, provider, stream=False)
    config = str(proxy.data_dir.parent / "meterline.toml")
    if posted:
        assert meterline("post", "--once", "--config", config).returncode == 0
        found = select(proxy.data_dir / "meterline.duckdb", "FROM exchanges")
        assert {row["cost_usd"] for row in found} == {None}, "nobody told what it cost"
    proxy.kill()
    again = start_proxy(rules=rules, data_dir=proxy.data_dir)
    hang_up(again, provider, stream=False)
    seen = chat(again.port, text=PROMPT)
    assert seen.status == 429
    assert "94% of $0.004 is used" in closed(again, seen).decisions[0].reason


def test_what_was_answered_with_an_error_is_not_charged(
    ruled: Ruled, provider: FakeProvider
) -> None:
    provider.script = answering(answer(b"{}", status=b"503 Busy", fields=[("Retry-After", "9")]))
    proxy = ruled(BUDGET + '[[rules]]\nname = "again"\nretry = { attempts = 3 }\n')
    record = hang_up(proxy, provider, stream=False)
    assert (record.outcome, record.error_type) == ("client_disconnected", "not_served")
    assert CHARGED not in actions(record)
    provider.script = answering(answer())
    assert chat(proxy.port, text="Hi").status == 200


def test_what_was_not_sent_is_not_charged(ruled: Ruled) -> None:
    """Connections wait in vain: the listener's queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        proxy = ruled(BUDGET, tables={"providers.openai": {"base_url": f"http://127.0.0.1:{port}"}})
        with connect(proxy.port) as wire:
            wire.send(request("POST", CHAT, body=b'{"model":"gpt-4o-mini","messages":[]}'))
            wait_for(lambda: proxy.health()["in_flight"] == 1, "the call")
            wire.ended(0.3)
            wire.reset()
        (record,) = wait_for(proxy.closed_entries, "the end of the exchange")
        for filler in fillers:
            filler.close()
    assert (record.outcome, record.error_type) == ("client_disconnected", "not_served")
    assert {made.error_type for made in record.attempts} <= {"not_connected"}, "or none was begun"
    assert actions(record) == []


def made(status: int | None, error_type: str | None) -> AttemptMade:
    return AttemptMade(
        number=1,
        upstream="a",
        started_at=0,
        duration_seconds=0.1,
        status=status,
        error_type=error_type,
    )


@pytest.mark.parametrize(
    ("attempts", "billed"),
    [
        ([], False),
        ([made(None, "cancelled")], True),
        ([made(200, "cancelled")], True),
        ([made(None, "cut_off")], True),
        ([made(None, "deadline")], True),
        ([made(503, None)], False),
        ([made(None, "not_connected")], False),
        ([made(None, "connect_failed")], False),
        ([made(None, "cut_off"), made(503, None)], True),
    ],
)
def test_what_may_be_billed(attempts: list[AttemptMade], billed: bool) -> None:
    assert may_be_billed(attempts) is billed


def test_a_charge_is_read_again_as_it_was_told() -> None:
    for charge in (Charge(12, Decimal("0.0000018")), Charge(0, Decimal(0))):
        assert told(str(charge)) == charge
    assert told("something else") is None
