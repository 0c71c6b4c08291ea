"""Several keys of one provider: the next one serves where one is refused."""

from __future__ import annotations

import tomllib
from collections.abc import Callable

import pytest

from proxy.config import parse
from proxy.policies.keys import LONGEST_REST_SECONDS, Ring
from tests.proxy.policies.conftest import Ruled, actions, chat, closed, statuses
from tests.support.raw import FakeProvider, Message, Wire, answer

KEYS = {"KEY_A": "sk-a-0123456789", "KEY_B": "sk-b-0123456789", "KEY_C": "sk-c-0123456789"}


@pytest.fixture
def keyed(
    ruled: Ruled, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], object]:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    own = {"base_url": provider.url, "api_key_envs": list(KEYS)}
    return lambda: ruled("", tables={"providers.openai": own})


def refusing(provider: FakeProvider, *words: bytes, status: bytes = b"429 Slow Down") -> None:
    """The provider refuses the keys with these words."""

    def script(wire: Wire, message: Message) -> None:
        key = message.value(b"authorization")
        refused = any(word in key for word in words)
        wire.send(answer(status=status) if refused else answer())

    provider.script = script


def used(provider: FakeProvider) -> list[str]:
    return [m.value(b"authorization").decode()[len("Bearer sk-") :][0] for m in provider.requests]


@pytest.mark.parametrize("status", [b"429 Slow Down", b"401 Who"])
def test_the_next_key_serves_and_goes_on_serving(
    keyed: Callable, provider: FakeProvider, status: bytes
) -> None:
    refusing(provider, b"-a-", status=status)
    proxy = keyed()
    seen = chat(proxy.port)
    assert seen.status == 200
    assert statuses(closed(proxy, seen)) == [int(status[:3]), 200]
    assert actions(closed(proxy, seen)) == [("keys", "key 2 of 3")]
    assert chat(proxy.port).status == 200
    assert used(provider) == ["a", "b", "b"]


def test_where_all_are_refused_the_client_hears_it_and_each_was_tried_once(
    keyed: Callable, provider: FakeProvider
) -> None:
    refusing(provider, b"sk-")
    assert chat(keyed().port).status == 429
    assert used(provider) == ["a", "b", "c"]


def test_no_key_reaches_the_disk(keyed: Callable, provider: FakeProvider) -> None:
    def echoing(wire: Wire, message: Message) -> None:
        key = message.value(b"authorization")
        wire.send(answer(key, status=b"401 Who" if b"-a-" in key else b"200 OK"))

    provider.script = echoing
    proxy = keyed()
    assert b"sk-b-0123456789" in chat(proxy.port).body
    written = b"".join(path.read_bytes() for path in (proxy.data_dir / "journal").rglob("*.seg"))
    assert b"***" in written
    assert not any(value.encode() in written for value in KEYS.values())


def test_a_ring_stays_with_a_key_and_comes_back_to_rested_ones() -> None:
    ring = Ring()
    assert ring.usable(3, 0.0) == 0
    ring.rest(0, 0.0, 5.0)
    assert ring.usable(3, 1.0) == 1
    ring.rest(1, 1.0, 50.0)
    ring.rest(2, 1.0, 50.0)
    assert ring.usable(3, 6.0) == 0
    ring.rest(0, 6.0, 1e9)
    assert ring.until[0] == 6.0 + LONGEST_REST_SECONDS
    assert ring.usable(3, 7.0) == 1, "the one that rests least"


def test_rules_that_send_clients_keys_away_are_told() -> None:
    text = """
        [[rules]]
        name = "lost"
        when = { provider = "openai" }
        fallback = { to = ["groq/llama"] }
    """
    with pytest.raises(Exception, match=r"Set providers\.groq\.api_key_env"):
        parse(tomllib.loads(text), "file")
    parse(tomllib.loads(text + '\n[providers.groq]\napi_key_env = "GROQ_KEY"'), "file")
