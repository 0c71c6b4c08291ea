"""Balance: shares by weight, the quicker by latency, one session at one place."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.drawing import drawn
from proxy.policies.balance import Latency
from tests.proxy.policies.conftest import Ruled, actions, chat, closed
from tests.support.raw import FakeProvider, Message, Wire, answer, answering


@pytest.fixture
def two(ruled: Ruled) -> Iterator[Callable]:
    """A proxy with a rule across the provider and a second one."""
    second = FakeProvider()

    def begin(rule: str, more: str = "") -> object:
        rules = f'[[rules]]\nname = "share"\n{rule}\n{more}'
        return ruled(rules, tables={"providers.second": {"base_url": second.url}}), second

    yield begin
    second.close()


def session(name: str) -> list[tuple[str, str]]:
    return [("Meterline-Session", name)]


def test_calls_go_in_the_shares_of_the_weights_and_sessions_stay(
    two: Callable, provider: FakeProvider
) -> None:
    across = 'balance = { across = [{ to = "openai", weight = 3 }, { to = "second/other" }] }'
    proxy, second = two(across)
    places: dict[str, set[int]] = {}
    for number in range(120):
        before = len(second.requests)
        chat(proxy.port, fields=session(f"s{number % 40}"))
        places.setdefault(f"s{number % 40}", set()).add(len(second.requests) - before)
    assert all(len(place) == 1 for place in places.values())
    assert 0.1 < len(second.requests) / 120 < 0.45
    assert b'"other"' in second.requests[0].body
    assert len(provider.requests) + len(second.requests) == 120


def test_the_decision_says_where_and_why(two: Callable) -> None:
    proxy, _ = two('balance = { across = [{ to = "openai" }, { to = "azure" }] }')
    (made,) = closed(proxy, chat(proxy.port, fields=session("one"))).decisions
    assert made.action in ("sent to openai", "sent to azure")
    assert made.reason == "drawn by session"
    (made,) = closed(proxy, chat(proxy.port)).decisions
    assert made.reason == "drawn by chance"


def test_the_slower_one_gets_less(two: Callable, provider: FakeProvider) -> None:
    def slow(wire: Wire, _: Message) -> None:
        threading.Event().wait(0.15)
        wire.send(answer())

    rule = 'balance = { across = [{ to = "openai" }, { to = "second" }], by = "latency" }'
    proxy, second = two(rule)
    provider.script = slow
    for _ in range(12):
        chat(proxy.port)
    assert len(provider.requests) <= 2
    assert len(second.requests) >= 10


def test_a_session_stays_where_it_went_though_it_is_the_slower_one(two: Callable) -> None:
    rule = 'balance = { across = [{ to = "openai" }, { to = "second" }], by = "latency" }'
    proxy, _ = two(rule)
    seen = [closed(proxy, chat(proxy.port, fields=session("s"))) for _ in range(6)]
    assert len({record.upstream for record in seen}) == 1
    assert seen[-1].decisions[0].reason == "where its session is"


def test_one_whose_breaker_is_open_is_left_out(two: Callable, provider: FakeProvider) -> None:
    rest = '[[rules]]\nname = "rest"\nbreaker = { minimum = 1, open_seconds = 600 }'
    rule = 'balance = { across = [{ to = "openai" }, { to = "second" }] }'
    proxy, second = two(rule, rest)
    provider.script = answering(answer(status=b"500 No"))
    statuses = [chat(proxy.port).status for _ in range(12)]
    assert statuses.count(500) == 1
    second.script = provider.script
    while chat(proxy.port).status == 500 and len(second.requests) < 40:
        if actions(proxy.closed_entries()[-1])[-1] == ("breaker", "opened second"):
            break
    provider.script = answering(answer())
    last = closed(proxy, chat(proxy.port))
    assert last.decisions[0].reason == "the least bad of all"


def test_a_route_sends_its_calls_elsewhere(ruled: Ruled, provider: FakeProvider) -> None:
    when = 'when = { feature = "classify", model = "gpt-4o" }'
    proxy = ruled(f'[[rules]]\nname = "cheap"\n{when}\nroute = {{ to = "openai/gpt-4o-mini" }}')
    seen = chat(proxy.port, model="gpt-4o", fields=[("Meterline-Feature", "classify")])
    record = closed(proxy, seen)
    assert actions(record) == [("route", "sent to openai/gpt-4o-mini")]
    assert (record.provider, record.model) == (None, "gpt-4o-mini")
    assert b'"gpt-4o-mini"' in provider.requests[0].body
    chat(proxy.port, model="gpt-4o")
    assert b'"gpt-4o"' in provider.requests[1].body


def test_the_clients_credential_stays_with_its_provider(
    ruled: Ruled, provider: FakeProvider
) -> None:
    bearer = [("Authorization", "Bearer sk-client-0123456789")]
    proxy = ruled('[[rules]]\nname = "model"\nroute = { to = "openai/other" }')
    chat(proxy.port, fields=bearer)
    assert provider.requests[-1].values(b"authorization") == [b"Bearer sk-client-0123456789"]
    proxy = ruled('[[rules]]\nname = "provider"\nroute = { to = "azure" }')
    chat(proxy.port, fields=bearer)
    assert provider.requests[-1].values(b"authorization") == []


def test_a_page_of_another_site_cannot_reach_the_proxys_credential_by_a_rule(
    ruled: Ruled, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWN_KEY", "sk-own-0123456789")
    own = {"base_url": provider.url, "api_key_env": "OWN_KEY"}
    rule = '[[rules]]\nname = "there"\nroute = { to = "azure" }'
    proxy = ruled(rule, tables={"providers.azure": own})
    assert chat(proxy.port).status == 200
    seen = chat(proxy.port, fields=[("Sec-Fetch-Site", "cross-site")])
    assert seen.status == 403
    assert len(provider.requests) == 1


def test_one_that_only_refuses_quickly_is_not_the_quicker_one(two: Callable) -> None:
    rule = 'balance = { across = [{ to = "openai" }, { to = "second" }], by = "latency" }'
    proxy, second = two(rule)
    second.script = answering(answer(status=b"429 Wait"))
    for _ in range(12):
        chat(proxy.port)
    assert len(second.requests) <= 2


def test_one_that_nobody_asked_for_a_while_is_tried_again() -> None:
    slow, quick = Latency(), Latency()
    slow.add(10.0, 0.0)
    quick.add(0.5, 0.0)
    assert slow.now(60.0) > quick.seconds
    assert slow.now(200.0) < quick.seconds
    slow.add(0.1, 200.0)
    assert slow.now(200.0) < 0.2


@given(st.text(), st.lists(st.floats(0.1, 9), min_size=2, max_size=5))
def test_the_same_word_is_drawn_the_same(word: str, weights: list[float]) -> None:
    named = [(str(number), weight) for number, weight in enumerate(weights)]
    assert drawn(named, "r", word) == drawn(named, "r", word)


def test_words_are_drawn_in_the_shares_of_the_weights() -> None:
    named = [("a", 1.0), ("b", 3.0)]
    counts = Counter(drawn(named, "r", f"word {number}") for number in range(4000))
    assert 0.72 < counts[1] / 4000 < 0.78


def test_a_greater_weight_takes_words_and_moves_no_others() -> None:
    before = [("a", 1.0), ("b", 1.0), ("c", 1.0)]
    after = [("a", 2.0), ("b", 1.0), ("c", 1.0)]
    words = [f"word {number}" for number in range(1000)]
    moved = [(drawn(before, "r", w), drawn(after, "r", w)) for w in words]
    assert {new for old, new in moved if old != new} == {0}
