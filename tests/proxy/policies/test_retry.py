"""Retries: again where it is safe and may help, never after a piece of the answer has left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.calls import retry_after
from proxy.calls.call import Open
from proxy.calls.safety import may_repeat
from proxy.errors import AttemptFailed, Broken, NotSent
from proxy.policies.retry import Again, Enough, Happened, decide
from proxy.rules.settings import Retry
from tests.proxy.policies.conftest import (
    CHAT,
    WORD,
    Ruled,
    actions,
    chat,
    closed,
    last_closed,
    one_after_another,
    resetting,
    statuses,
    streaming,
)
from tests.support.processes import wait_for
from tests.support.raw import Ended, FakeProvider, answer, answering, connect, request

QUICK = """
[[rules]]
name = "again"
retry = { attempts = 3, first_wait_seconds = 0.01, longest_wait_seconds = 0.02 }
"""
UNSURE = QUICK.replace("attempts = 3", "attempts = 3, unsure = true")
BUSY = answering(answer(b'{"error":{}}', status=b"503 Busy"))
HELLO = answering(answer(b'{"model":"gpt-4o-mini"}'))
STREAM = streaming(WORD, b"data: [DONE]\n\n")


@pytest.mark.parametrize("stream", [False, True])
def test_a_rejected_call_is_made_again_until_it_succeeds(
    ruled: Ruled, provider: FakeProvider, stream: bool
) -> None:
    provider.script = one_after_another(BUSY, BUSY, STREAM if stream else HELLO)
    proxy = ruled(QUICK)
    seen = chat(proxy.port, stream=stream)
    assert seen.status == 200
    assert WORD in seen.body if stream else seen.body == b'{"model":"gpt-4o-mini"}'
    assert len({message.body for message in provider.requests}) == 1
    record = closed(proxy, seen)
    assert statuses(record) == [503, 503, 200]
    assert [policy for policy, _ in actions(record)] == ["retry", "retry"]
    assert record.rules == ["again"]
    assert record.outcome == "completed"


def test_the_last_error_reaches_the_client_as_it_came(ruled: Ruled, provider: FakeProvider) -> None:
    fields = [("X-Own", "1"), ("Retry-After", "7")]
    provider.script = answering(answer(b'{"no":1}', status=b"429 Slow Down", fields=fields))
    proxy = ruled(QUICK)
    seen = chat(proxy.port)
    assert (seen.status, seen.reason, seen.body) == (429, b"Slow Down", b'{"no":1}')
    assert seen.value(b"x-own") == b"1"
    record = closed(proxy, seen)
    assert statuses(record) == [429, 429, 429]
    assert actions(record)[-1] == ("retry", "gave up")
    assert record.outcome == "provider_error"


def test_retry_stops_once_a_byte_reached_the_client(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = streaming(WORD, end=False)
    proxy = ruled(UNSURE)
    with connect(proxy.port) as wire:
        wire.send(request("POST", CHAT, body=b'{"model":"m","stream":true}'))
        with pytest.raises(Ended):
            wire.answer("POST")
    record = last_closed(proxy)
    assert len(provider.requests) == 1
    assert record.outcome == "upstream_failed"
    assert record.decisions == []


def test_a_stream_that_begins_with_an_error_is_made_again(
    ruled: Ruled, provider: FakeProvider
) -> None:
    overloaded = streaming(b'event: error\ndata: {"error":{"type":"overloaded_error"}}\n\n')
    provider.script = one_after_another(overloaded, STREAM)
    proxy = ruled(QUICK)
    seen = chat(proxy.port, stream=True)
    assert seen.body == WORD + b"data: [DONE]\n\n"
    record = closed(proxy, seen)
    assert statuses(record) == [200, 200]
    assert record.decisions[0].reason == "529"


def test_what_may_have_been_served_is_made_again_only_where_the_rule_says_so(
    ruled: Ruled, provider: FakeProvider
) -> None:
    provider.script = one_after_another(resetting, HELLO)
    careful = ruled(QUICK)
    assert chat(careful.port).status == 502
    assert last_closed(careful).decisions[0].reason.startswith("cut_off: it may have been served")
    provider.script = one_after_another(resetting, HELLO)
    assert chat(ruled(UNSURE).port).status == 200


def test_an_idempotency_key_makes_it_safe(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = one_after_another(resetting, HELLO)
    assert chat(ruled(QUICK).port, fields=[("Idempotency-Key", "k1")]).status == 200
    assert [message.values(b"idempotency-key") for message in provider.requests] == [[b"k1"]] * 2


def test_an_upstream_that_refuses_connections_is_safe_to_ask_again(ruled: Ruled) -> None:
    tables = {"providers.openai": {"base_url": "http://127.0.0.1:1"}}
    proxy = ruled(QUICK, tables=tables)
    assert chat(proxy.port).status == 502
    assert [made.error_type for made in last_closed(proxy).attempts] == ["connect_failed"] * 3


@pytest.mark.parametrize(
    "said",
    ["1", "1000000000", format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True), "x"],
    ids=["seconds", "too long", "date", "no time"],
)
def test_a_retry_after_is_waited_for_up_to_the_cap(
    ruled: Ruled, provider: FakeProvider, said: str
) -> None:
    slow = answering(answer(status=b"429 Slow Down", fields=[("Retry-After", said)]))
    provider.script = one_after_another(slow, HELLO)
    proxy = ruled(QUICK)
    seen = chat(proxy.port)
    (made,) = closed(proxy, seen).decisions
    assert seen.status == 200
    assert made.action == "attempt 2 after 0.02 s" or said == "x"
    assert ("Retry-After" in made.reason) == (said != "x")


def test_an_upstream_gets_no_more_than_its_share_of_retries(
    ruled: Ruled, provider: FakeProvider
) -> None:
    provider.script = BUSY
    proxy = ruled(QUICK.replace("attempts = 3", "attempts = 2, share = 0"))
    last = [chat(proxy.port) for _ in range(12)][-1]
    assert len(provider.requests) == 12 + 10
    assert "share of retries" in closed(proxy, last).decisions[-1].reason


def test_a_client_that_leaves_ends_the_waiting(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = BUSY
    waiting = "retry = { first_wait_seconds = 60, longest_wait_seconds = 60 }"
    proxy = ruled(f'[[rules]]\nname = "again"\n{waiting}')
    with connect(proxy.port) as wire:
        wire.send(request("POST", CHAT, body=b'{"model":"m"}'))
        wait_for(lambda: provider.requests, "the first attempt")
        wire.reset()
    record = last_closed(proxy)
    assert record.outcome == "client_disconnected"
    assert len(provider.requests) == 1


def test_without_rules_there_is_no_chain(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = BUSY
    proxy = ruled(QUICK.replace("retry =", "enabled = false\nretry ="))
    assert chat(proxy.port).status == 503
    assert len(provider.requests) == 1
    assert proxy.health()["rules"] == {"in_force": 0, "error": None}


RULE = Retry(attempts=4, first_wait_seconds=1.0, longest_wait_seconds=5.0)


def decided(happened: Happened, number: int = 1, **changed: object) -> Again | Enough:
    given = {"repeatable": True, "seconds_left": 1e9, "draw": lambda _, high: high, **changed}
    return decide(RULE, number, happened, **given)


@pytest.mark.parametrize(
    ("number", "happened", "expected"),
    [
        (1, Happened(what=503), 1.0),
        (2, Happened(what=503), 2.0),
        (3, Happened(what=NotSent("m", "connect_failed")), 4.0),
        (4, Happened(what=503), None),
        (1, Happened(what=200), None),
        (1, Happened(what=400), None),
        (1, Happened(what=400, verdict=True), 1.0),
        (1, Happened(what=503, verdict=False), None),
        (1, Happened(what=429, wanted_seconds=3.0), 4.0),
        (1, Happened(what=429, wanted_seconds=1e9), 5.0),
        (1, Happened(what=Open("m", 9.0, 1.0)), None),
    ],
)
def test_decisions(number: int, happened: Happened, expected: float | None) -> None:
    step = decided(happened, number)
    assert (step.wait_seconds if isinstance(step, Again) else None) == expected


def test_no_wait_goes_beyond_the_deadline() -> None:
    assert isinstance(decided(Happened(what=503), seconds_left=0.5), Enough)


@given(st.integers(1, 3), st.none() | st.floats(0, 1e12), st.floats(0, 1))
def test_no_wait_is_longer_than_the_cap(number: int, wanted: float | None, at: float) -> None:
    step = decided(
        Happened(what=429, wanted_seconds=wanted), number, draw=lambda low, high: low + at * high
    )
    assert isinstance(step, Again)
    assert 0 <= step.wait_seconds <= 5.0


@pytest.mark.parametrize(
    ("happened", "operation", "expected"),
    [
        (NotSent("m", "t"), None, True),
        (Broken("m", "t"), "chat", False),
        (429, None, True),
        (529, "batch", True),
        (500, "chat", True),
        (500, "batch", False),
        (500, None, False),
    ],
)
def test_what_is_safe_to_repeat(
    happened: int | AttemptFailed, operation: str | None, expected: bool
) -> None:
    asked = {"operation": operation, "idempotent": False, "unsure": False}
    assert may_repeat(happened, **asked) is expected


@given(st.binary(max_size=40))
def test_a_nonsensical_retry_after_is_no_answer(value: bytes) -> None:
    found = retry_after.seconds([(b"Retry-After", value)], datetime.now(UTC))
    assert found is None or found >= 0
