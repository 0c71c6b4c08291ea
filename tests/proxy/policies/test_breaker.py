"""The circuit breaker: opens on failures of the upstream, and on nothing else."""

from __future__ import annotations

import pytest

from proxy.circuit import Circuit, Passage
from proxy.rules.settings import Breaker
from tests.proxy.policies.conftest import (
    CHAT,
    WORD,
    Ruled,
    actions,
    chat,
    closed,
    streaming,
)
from tests.support.processes import wait_for
from tests.support.raw import FakeProvider, Message, Wire, answer, answering, connect, request

RULES = """
[[rules]]
name = "rest"
breaker = { minimum = 4, open_seconds = 0.3 }
"""
RULE = Breaker(minimum=4, window_seconds=10.0, open_seconds=5.0, probes=2)
BUSY = answering(answer(status=b"503 Busy"))


def ended(circuit: Circuit, at: float, *failed: bool, wanted: float | None = None) -> bool:
    opened = False
    for each in failed:
        opened |= circuit.ended(RULE, at, failed=each, wanted=wanted)
    return opened


def test_it_opens_at_the_rate_and_not_below_the_minimum() -> None:
    circuit = Circuit()
    assert not ended(circuit, 0.0, True, True, True)
    assert ended(circuit, 0.0, True)
    assert circuit.passage(RULE, 4.9) is Passage.SHUT
    assert circuit.passage(RULE, 5.0) is Passage.PROBE


def test_successes_keep_it_closed() -> None:
    circuit = Circuit()
    assert not ended(circuit, 0.0, False, False, False, True, True)
    assert circuit.passage(RULE, 1.0) is Passage.NORMAL


def test_what_is_older_than_the_window_is_forgotten() -> None:
    circuit = Circuit()
    ended(circuit, 0.0, True, True, True)
    assert not ended(circuit, 10.1, True)
    assert circuit.failure_rate == 1.0
    assert len(circuit.recent) == 1


@pytest.mark.parametrize(("wanted", "until"), [(None, 5.0), (1.0, 5.0), (20.0, 20.0), (1e9, 50.0)])
def test_a_retry_after_keeps_it_open_up_to_a_cap(wanted: float | None, until: float) -> None:
    circuit = Circuit()
    ended(circuit, 0.0, True, True, True, True, wanted=wanted)
    assert circuit.open_until == until


def test_it_closes_after_as_many_probes_and_opens_again_after_a_bad_one() -> None:
    circuit = Circuit()
    ended(circuit, 0.0, True, True, True, True)
    assert not circuit.probe_ended(RULE, 6.0, failed=False, wanted=None)
    assert not circuit.probe_ended(RULE, 6.0, failed=True, wanted=None)
    assert circuit.passage(RULE, 7.0) is Passage.SHUT
    assert not circuit.probe_ended(RULE, 12.0, failed=False, wanted=None)
    assert circuit.probe_ended(RULE, 12.0, failed=False, wanted=None)
    assert circuit.passage(RULE, 12.0) is Passage.NORMAL
    assert circuit.failure_rate == 0.0


def test_probes_at_the_same_time_are_bounded() -> None:
    circuit = Circuit(open_until=0.0, probing=2)
    assert circuit.passage(RULE, 1.0) is Passage.SHUT


@pytest.mark.parametrize("stream", [False, True])
def test_an_open_circuit_answers_at_once_and_closes_when_a_probe_succeeds(
    ruled: Ruled, provider: FakeProvider, stream: bool
) -> None:
    provider.script = BUSY
    proxy = ruled(RULES)
    last = [chat(proxy.port, stream=stream) for _ in range(4)][-1]
    assert actions(closed(proxy, last)) == [("breaker", "opened openai")]
    shut = chat(proxy.port, stream=stream)
    assert shut.status == 503
    assert int(shut.value(b"retry-after")) == 1
    assert b"upstream_open" in shut.body
    assert len(provider.requests) == 4
    record = closed(proxy, shut)
    assert (record.outcome, record.attempts) == ("refused", [])
    assert actions(record) == [("breaker", "did not ask openai")]
    provider.script = streaming(WORD) if stream else answering(answer())
    probe = wait_for(lambda: _if_ok(chat(proxy.port, stream=stream)), "a probe")
    assert actions(closed(proxy, probe)) == [
        ("breaker", "let a probe through"),
        ("breaker", "closed openai"),
    ]


def _if_ok(seen: Message) -> Message | None:
    return seen if seen.status == 200 else None


def test_a_client_that_leaves_is_no_failure(ruled: Ruled, provider: FakeProvider) -> None:
    def silent(_: Wire, __: Message) -> None:
        pass

    provider.script = silent
    proxy = ruled(RULES)
    for number in range(6):
        with connect(proxy.port) as wire:
            wire.send(request("POST", CHAT, body=b"{}"))
            wait_for(lambda n=number: len(provider.requests) > n, "the attempt")
            wire.reset()
    wait_for(lambda: len(proxy.closed_entries()) == 6, "six ends")
    provider.script = answering(answer())
    assert chat(proxy.port).status == 200


def test_refused_connections_count_and_each_upstream_has_a_circuit_of_its_own(
    ruled: Ruled, provider: FakeProvider
) -> None:
    proxy = ruled(RULES, tables={"providers.openai": {"base_url": "http://127.0.0.1:1"}})
    answers = [chat(proxy.port).status for _ in range(5)]
    assert answers == [502, 502, 502, 502, 503]
    assert chat(proxy.port, target="/azure/v1/chat/completions").status == 200
    assert len(provider.requests) == 1


def test_a_retry_does_not_wait_for_an_open_circuit(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = BUSY
    again = "retry = { attempts = 10, first_wait_seconds = 0.001 }"
    proxy = ruled(f'{RULES}\n[[rules]]\nname = "again"\n{again}')
    seen = chat(proxy.port)
    assert seen.status == 503
    assert len(provider.requests) == 4
    assert b"upstream_open" in seen.body


def test_who_is_given_no_time_by_a_rule_has_not_failed(
    ruled: Ruled, provider: FakeProvider
) -> None:
    provider.script = lambda _wire, _message: None
    rest = '[[rules]]\nname = "rest"\nbreaker = { minimum = 1, open_seconds = 600 }\n'
    short = '[[rules]]\nname = "short"\nfallback = { to = ["azure"], patience_seconds = 0.1 }'
    proxy = ruled(rest + short)
    assert [chat(proxy.port).status for _ in range(2)] == [504, 504]
    assert len(provider.requests) == 4, "no circuit is open"
