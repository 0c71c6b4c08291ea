"""New rules take effect between requests; broken ones leave the old in force."""

from __future__ import annotations

import signal
from collections.abc import Callable

import orjson

from tests.support.processes import Meterline, wait_for
from tests.support.raw import FakeProvider, answer, answering, connect, request

REST = """
[[rules]]
name = "rest"
breaker = { minimum = 2, open_seconds = 600 }
"""
AGAIN = """
[[rules]]
name = "again"
retry = { attempts = 2, first_wait_seconds = 0 }
"""


def status(proxy: Meterline, model: str = "m") -> int:
    with connect(proxy.port) as wire:
        body = orjson.dumps({"model": model})
        wire.send(request("POST", "/openai/v1/chat/completions", body=body))
        return wire.answer("POST").status


def rewrite(proxy: Meterline, old: str, new: str) -> None:
    path = proxy.data_dir.parent / "meterline.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def rules_in_force(proxy: Meterline) -> int:
    return int(proxy.health()["rules"]["in_force"])


def test_new_rules_are_taken_from_the_file_and_counters_stay(
    start_proxy: Callable[..., Meterline], provider: FakeProvider
) -> None:
    provider.script = answering(answer(status=b"503 Busy"))
    proxy = start_proxy(rules=REST)
    assert [status(proxy) for _ in range(3)] == [503, 503, 503]
    assert len(provider.requests) == 2
    rewrite(proxy, REST, REST + AGAIN)
    wait_for(lambda: rules_in_force(proxy) == 2, "the new rules")
    assert status(proxy) == 503
    assert len(provider.requests) == 2, "the circuit is still open"
    rewrite(proxy, REST, "")
    wait_for(lambda: rules_in_force(proxy) == 1, "the newer rules")
    status(proxy)
    assert len(provider.requests) == 4, "no breaker, two attempts"


def test_a_broken_file_leaves_the_rules_in_force(
    start_proxy: Callable[..., Meterline], provider: FakeProvider
) -> None:
    provider.script = answering(answer(status=b"503 Busy"))
    proxy = start_proxy(rules=AGAIN)
    rewrite(proxy, "attempts = 2", "attemps = 2")
    error = wait_for(lambda: proxy.health()["rules"]["error"], "the error")
    assert "rules[0].retry.attemps: unknown key. Did you mean attempts?" in error
    status(proxy)
    assert len(provider.requests) == 2
    rewrite(proxy, "attemps = 2", "attempts = 3")
    wait_for(lambda: proxy.health()["rules"]["error"] is None, "the mended rules")
    status(proxy)
    assert len(provider.requests) == 2 + 3


def test_a_provider_that_the_worker_does_not_know_is_told(
    start_proxy: Callable[..., Meterline],
) -> None:
    proxy = start_proxy(rules=AGAIN)
    new = '\n[providers.new]\nbase_url = "http://127.0.0.1:1"\n'
    rewrite(proxy, AGAIN, new + AGAIN.replace("retry", 'when.provider = "new"\nretry'))
    error = wait_for(lambda: proxy.health()["rules"]["error"], "the error")
    assert "no provider has this name" in error


def test_sighup_takes_the_rules_at_once(start_proxy: Callable[..., Meterline]) -> None:
    proxy = start_proxy(rules=AGAIN)
    proxy.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "1 rules in force" in proxy.log.read_text(), "the word of it")
