"""Equal calls at a time: one goes, the others get its answer, and nobody waits for long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import orjson
import pytest

from proxy.journal import Closed
from tests.proxy.policies.conftest import (
    CHAT,
    EVENTS,
    WORD,
    Ruled,
    actions,
    chat,
    closed,
    streaming,
)
from tests.support.processes import Meterline, wait_for
from tests.support.raw import (
    FakeProvider,
    Message,
    Script,
    Wire,
    answer,
    answering,
    chunk,
    connect,
    request,
)

AGAIN = '[[rules]]\nname = "again"\ncache = { wait_seconds = 20 }\n'
SHORT = '[[rules]]\nname = "again"\ncache = { wait_seconds = 0.2 }\n'
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
CHOICE = {"index": 0, "finish_reason": "stop", "message": {"content": "Hi"}}
OK = answering(answer(orjson.dumps({"model": "m", "choices": [CHOICE]})))
STREAM = streaming(WORD, WORD, END)
CALLS = 12


class Held:
    """A script that holds the first call of the provider until `go` is set; the first does one
    thing, all others another."""

    def __init__(self, first: Script, others: Script, *, begins: bytes = b"") -> None:
        self.go = threading.Event()
        self._first, self._others, self._begins = first, others, begins
        self._begun = False

    def __call__(self, wire: Wire, message: Message) -> None:
        if self._begun:
            self._others(wire, message)
            return
        self._begun = True
        wire.send(self._begins)
        assert self.go.wait(20)
        self._first(wire, message)


def together(proxy: Meterline, count: int, call: Callable[[int], Message], held: Held) -> list:
    """The answers of so many calls, all under way before the first is answered."""
    with ThreadPoolExecutor(count) as pool:
        begun = [pool.submit(call, number) for number in range(count)]
        wait_for(lambda: proxy.health()["in_flight"] >= count, "all calls under way")
        held.go.set()
        return [each.result() for each in begun]


def hit(seen: Message) -> bool:
    return seen.values(b"meterline-cache") != []


def begun(proxy: Meterline, *, stream: bool) -> Wire:
    """A client whose call is under way."""
    before = proxy.health()["in_flight"]
    wire = connect(proxy.port)
    members = {"messages": [{"role": "user", "content": "Hello"}], "stream": stream}
    wire.send(request("POST", CHAT, body=orjson.dumps({"model": "gpt-4o-mini", **members})))
    wait_for(lambda: proxy.health()["in_flight"] > before, "the call under way")
    return wire


def waited(found: Closed) -> list[str]:
    return [made.reason for made in found.decisions if made.action == "waited in vain"]


@pytest.mark.parametrize("stream", [False, True])
def test_of_equal_calls_one_goes_and_all_have_its_answer(
    ruled: Ruled, provider: FakeProvider, stream: bool
) -> None:
    held = provider.script = Held(STREAM if stream else OK, OK)
    proxy = ruled(AGAIN)
    seen = together(proxy, CALLS, lambda _: chat(proxy.port, stream=stream), held)
    assert len(provider.requests) == 1
    assert len({each.body for each in seen}) == 1
    assert sorted(map(hit, seen)) == [False] + [True] * (CALLS - 1)
    if stream:
        assert {each.value(b"transfer-encoding") for each in seen} == {b"chunked"}
        assert seen[0].body == WORD + WORD + END
    first = next(each for each in seen if not hit(each))
    for each in seen:
        record = closed(proxy, each)
        if each is first:
            assert (record.outcome, actions(record)) == ("completed", [("cache", "kept")])
        else:
            assert (record.outcome, record.attempts) == ("cached", [])
            (made,) = record.decisions
            assert made.reason.startswith(f"the same was under way in {first.exchange_id}")


@pytest.mark.parametrize("stream", [False, True])
def test_where_the_first_client_leaves_the_next_goes(
    ruled: Ruled, provider: FakeProvider, stream: bool
) -> None:
    good = STREAM if stream else OK
    held = provider.script = Held(good, good, begins=EVENTS + chunk(WORD) if stream else b"")
    proxy = ruled(AGAIN)
    leaving = begun(proxy, stream=stream)
    if stream:
        leaving.head()
        leaving.chunk()
    with ThreadPoolExecutor(CALLS) as pool:
        others = [pool.submit(chat, proxy.port, stream=stream) for _ in range(CALLS)]
        wait_for(lambda: proxy.health()["in_flight"] == CALLS + 1, "all calls under way")
        leaving.reset()
        seen = [each.result() for each in others]
    held.go.set()
    assert len(provider.requests) == 2
    assert sorted(map(hit, seen)) == [False] + [True] * (CALLS - 1)
    second = closed(proxy, next(each for each in seen if not hit(each)))
    assert actions(second) == [("cache", "waited in vain"), ("cache", "kept")]
    (why,) = waited(second)
    assert why.endswith("whose client left")


TORN = streaming(WORD, end=False)


@pytest.mark.parametrize(
    ("first", "begins", "stream"),
    [
        (answering(answer(b"{}", status=b"500 No")), b"", False),
        (answering(answer(b"{}", status=b"500 No")), b"", True),
        (lambda wire, _: wire.reset(), b"", False),
        (lambda wire, _: wire.close(), EVENTS + chunk(WORD), True),
        (answering(answer(b'{"error":{"message":"no"}}')), b"", False),
        (answering(answer(b"x" * (17 << 20))), b"", False),
    ],
    ids=["500", "500 to a stream", "reset", "cut", "error in a 200", "too large"],
)
def test_where_nothing_is_kept_the_others_go_themselves(
    ruled: Ruled, provider: FakeProvider, first: Script, begins: bytes, stream: bool
) -> None:
    good = STREAM if stream else OK
    held = provider.script = Held(first, good, begins=begins)
    proxy = ruled(AGAIN)
    leading = begun(proxy, stream=stream)
    wait_for(lambda: provider.requests, "the first call at the provider")
    with ThreadPoolExecutor(1) as reading:
        reading.submit(leading.rest)
        seen = together(proxy, 4, lambda _: chat(proxy.port, stream=stream), held)
        leading.close()
    assert [each.status for each in seen] == [200] * 4
    assert len(provider.requests) >= 2
    assert not all(map(hit, seen))
    assert any(map(waited, map(partial(closed, proxy), seen)))
    assert hit(chat(proxy.port, stream=stream))


@pytest.mark.parametrize("stream", [False, True])
def test_nobody_waits_longer_than_the_rule_says(
    ruled: Ruled, provider: FakeProvider, stream: bool
) -> None:
    good = STREAM if stream else OK
    held = provider.script = Held(good, good, begins=EVENTS + chunk(WORD) if stream else b"")
    proxy = ruled(SHORT)
    leading = begun(proxy, stream=stream)
    seen = chat(proxy.port, stream=stream)
    assert (seen.status, hit(seen), len(provider.requests)) == (200, False, 2)
    (why,) = waited(closed(proxy, seen))
    assert 0.2 <= float(why.partition(" s for ")[0]) < 10  # a busy machine looks later
    assert why.endswith("which took longer")
    late = chat(proxy.port, stream=stream)
    assert hit(late), "the second answer is kept, whatever becomes of the first"
    held.go.set()
    leading.close()


def test_a_rule_may_have_nobody_wait(ruled: Ruled, provider: FakeProvider) -> None:
    held = provider.script = Held(OK, OK)
    proxy = ruled(AGAIN.replace("20", "0"))
    leading = begun(proxy, stream=False)
    seen = chat(proxy.port)
    assert (hit(seen), actions(closed(proxy, seen))) == (False, [("cache", "kept")])
    held.go.set()
    leading.answer("POST")


@pytest.mark.parametrize(
    "other",
    [
        {"fields": [("Authorization", "Bearer sk-other-0123456789")]},
        {"fields": [("Cache-Control", "no-cache")]},
        {"fields": [("Cache-Control", "no-store")]},
        {"text": "Hello!"},
    ],
    ids=str,
)
def test_what_must_not_have_the_answer_does_not_wait_for_it(
    ruled: Ruled, provider: FakeProvider, other: dict
) -> None:
    held = provider.script = Held(OK, OK)
    proxy = ruled(AGAIN)
    leading = begun(proxy, stream=False)
    seen = chat(proxy.port, **other)
    assert (seen.status, hit(seen), len(provider.requests)) == (200, False, 2)
    assert waited(closed(proxy, seen)) == []
    held.go.set()
    leading.answer("POST")


def test_who_takes_no_compressed_answer_goes_itself(ruled: Ruled, provider: FakeProvider) -> None:
    packed = answering(answer(b"\x1f\x8b", fields=[("Content-Encoding", "gzip")]))
    held = provider.script = Held(packed, OK)
    proxy = ruled(AGAIN)
    leading = begun(proxy, stream=False)
    (seen,) = together(proxy, 1, lambda _: chat(proxy.port), held)
    assert not hit(seen)
    (why,) = waited(closed(proxy, seen))
    assert why.endswith("whose answer did not suit it")
    leading.close()


def test_a_client_that_leaves_while_it_waits_gives_back_what_was_held_for_it(
    ruled: Ruled, provider: FakeProvider
) -> None:
    held = provider.script = Held(OK, OK)
    two = '[[rules]]\nname = "two"\nlimit = { concurrent = 2 }\n'
    proxy = ruled(two + AGAIN)
    leading, waiting = begun(proxy, stream=False), begun(proxy, stream=False)
    assert chat(proxy.port).status == 429
    waiting.reset()
    wait_for(lambda: proxy.health()["in_flight"] == 1, "the end of the one that waited")
    (seen,) = together(proxy, 1, lambda _: chat(proxy.port), held)
    assert (leading.answer("POST").status, seen.status, hit(seen)) == (200, 200, True)
    assert len(provider.requests) == 1
