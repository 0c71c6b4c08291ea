"""The cache: the same answer to the same question, of the same key, and to nobody else."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from decimal import Decimal

import openai
import orjson
import pytest

from tests.proxy.policies.conftest import (
    CHAT,
    EVENTS,
    WORD,
    Ruled,
    actions,
    chat,
    closed,
    one_after_another,
    resetting,
    statuses,
    streaming,
)
from tests.support.posted import select
from tests.support.processes import Meterline, wait_for
from tests.support.raw import FakeProvider, Message, Script, answer, answering, chunk, connect
from tests.support.raw import request as raw_request
from tests.support.services import Provider, meterline

USED = {"prompt_tokens": 1000, "completion_tokens": 1000}
"""At list prices of gpt-4o-mini: 0.00015 + 0.0006 = 0.00075 USD."""
COST = Decimal("0.00075")
CACHE = '[[rules]]\nname = "again"\ncache = {}\n'
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


def said(text: str = "Hi", **members: object) -> bytes:
    choice = {"index": 0, "finish_reason": "stop", "message": {"content": text}}
    return orjson.dumps({"model": "gpt-4o-mini", "choices": [choice], "usage": USED, **members})


OK = answering(answer(said(), fields=[("Content-Type", "application/json")]))
STREAM = streaming(WORD, WORD, END, DONE)


def numbered() -> Script:
    """A script that says another number each time."""
    count = iter(range(1, 100))
    return lambda wire, _: wire.send(answer(said(str(next(count)))))


def rule(**members: object) -> str:
    does = ", ".join(f"{name} = {orjson.dumps(value).decode()}" for name, value in members.items())
    return f'[[rules]]\nname = "again"\ncache = {{ {does} }}\n'


def bearer(key: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer sk-{key}-0123456789")]


def hit(seen: Message) -> bool:
    return seen.values(b"meterline-cache") != []


def rows(proxy: Meterline) -> list[dict[str, object]]:
    config = str(proxy.data_dir.parent / "meterline.toml")
    done = meterline("post", "--once", "--config", config)
    assert done.returncode == 0, done.stderr
    return select(proxy.data_dir / "meterline.duckdb", "FROM exchanges ORDER BY started_at")


def test_a_hit_is_the_first_answer_and_nobody_is_asked(
    ruled: Ruled, provider: FakeProvider
) -> None:
    provider.script = answering(
        answer(said(), fields=[("X-Request-Id", "one"), ("Set-Cookie", "a=b")])
    )
    proxy = ruled(CACHE)
    first, second = chat(proxy.port), chat(proxy.port)
    assert len(provider.requests) == 1
    assert (second.status, second.body) == (200, first.body)
    assert not hit(first)
    assert second.value(b"meterline-cache") == b"exact"
    assert second.value(b"x-request-id") == b"one"
    assert (len(first.values(b"set-cookie")), second.values(b"set-cookie")) == (1, [])
    assert 0 <= int(second.value(b"age")) < 60
    assert second.exchange_id != first.exchange_id
    kept, given = closed(proxy, first), closed(proxy, second)
    assert (kept.outcome, actions(kept)) == ("completed", [("cache", "kept")])
    assert (given.outcome, given.cache_hit, given.attempts) == ("cached", "exact", [])
    assert actions(given) == [("cache", "hit")]
    assert first.exchange_id in given.decisions[0].reason
    assert given.rules == ["again"]


def test_a_hit_costs_nothing_and_tells_what_was_saved(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = OK
    proxy = ruled(CACHE)
    for seen in [chat(proxy.port) for _ in range(3)]:
        closed(proxy, seen)
    first, *hits = rows(proxy)
    assert (first["cost_usd"], first["saved_usd"], first["input_tokens"]) == (COST, None, 1000)
    for row in hits:
        assert (row["outcome"], row["cache_hit"], row["attempts"]) == ("cached", "exact", 0)
        assert (row["cost_usd"], row["cost_status"], row["saved_usd"]) == (0, None, COST)
        assert (row["input_tokens"], row["output_tokens"], row["usage_source"]) == (None,) * 3
        assert (row["provider"], row["upstream"]) == ("openai", None)
        assert row["response_model"] == "gpt-4o-mini"


def test_a_stream_is_a_stream_again_with_the_same_bytes(
    ruled: Ruled, provider: FakeProvider
) -> None:
    provider.script = STREAM
    proxy = ruled(CACHE)
    first, second = chat(proxy.port, stream=True), chat(proxy.port, stream=True)
    assert second.body == first.body == WORD + WORD + END + DONE
    assert hit(second)
    assert second.value(b"transfer-encoding") == b"chunked"
    assert second.value(b"content-type") == b"text/event-stream"
    assert not hit(chat(proxy.port, stream=False))


def test_pieces_are_given_as_they_came(ruled: Ruled, provider: FakeProvider) -> None:
    going: list[bytes] = []

    def slowly(wire, _) -> None:
        wire.send(EVENTS + chunk(WORD))
        wait_for(lambda: going, "the client to see the first piece")
        wire.send(chunk(END + DONE) + b"0\r\n\r\n")

    provider.script = slowly
    proxy = ruled(CACHE)
    body = orjson.dumps({"model": "gpt-4o-mini", "messages": [], "stream": True})
    seen = []
    for _ in range(2):
        with connect(proxy.port) as wire:
            wire.send(raw_request("POST", CHAT, body=body))
            head = wire.head()
            pieces = [wire.chunk()]
            going.append(pieces[0])
            while piece := wire.chunk():
                pieces.append(piece)
        seen.append((hit(head), pieces))
    assert seen == [(False, [WORD, END + DONE]), (True, [WORD, END + DONE])]


@pytest.mark.parametrize("accepted", ["gzip, deflate", "gzip;q=0.5", "br, gzip"])
def test_a_compressed_answer_goes_to_those_who_take_it(
    ruled: Ruled, provider: FakeProvider, accepted: str
) -> None:
    packed = gzip.compress(said())
    coded = answering(answer(packed, fields=[("Content-Encoding", "gzip")]))
    provider.script = one_after_another(coded, OK)
    proxy = ruled(CACHE)
    first = chat(proxy.port, fields=[("Accept-Encoding", accepted)])
    again = chat(proxy.port, fields=[("Accept-Encoding", "gzip")])
    assert hit(again)
    assert again.body == first.body == packed
    for taken in ("identity", "gzip;q=0", ""):
        seen = chat(proxy.port, fields=[("Accept-Encoding", taken)])
        assert seen.body == said()
    assert len(provider.requests) == 2, "an answer without coding is for everybody"


def test_members_in_another_order_and_who_asks_make_no_difference(
    ruled: Ruled, provider: FakeProvider
) -> None:
    provider.script = OK
    proxy = ruled(CACHE)
    chat(proxy.port, temperature=1, top_p=0.5, user="ana", metadata={"a": "1"})
    body = (
        b'{ "metadata":{"a":"2"},"top_p":0.5, "stream":false, "user":"bo", "temperature":1,'
        b'"messages":[{"content":"Hello","role":"user"}], "model":"gpt-4o-mini"}'
    )
    with connect(proxy.port) as wire:
        wire.send(raw_request("POST", CHAT, body=body))
        assert hit(wire.answer("POST"))


@pytest.mark.parametrize(
    "other",
    [
        {"text": "Hello!"},
        {"model": "gpt-4o"},
        {"temperature": 0.1},
        {"seed": 7},
        {"tools": []},
        {"stream": True},
        {"fields": [("OpenAI-Organization", "org-2")]},
        {"target": "/behind/v1/chat/completions"},
        {"target": f"{CHAT}?a=1"},
    ],
    ids=str,
)
def test_what_may_change_the_answer_makes_another_request(
    ruled: Ruled, provider: FakeProvider, other: dict
) -> None:
    provider.script = OK
    proxy = ruled(CACHE)
    chat(proxy.port)
    assert not hit(chat(proxy.port, **other))
    assert hit(chat(proxy.port))


def test_fields_named_by_the_rule_make_another_request(
    ruled: Ruled, provider: FakeProvider
) -> None:
    provider.script = OK
    proxy = ruled(rule(vary=["X-Tenant"]))
    one, other = [("X-Tenant", "1")], [("x-tenant", "2")]
    chat(proxy.port, fields=one)
    assert not hit(chat(proxy.port, fields=other))
    assert hit(chat(proxy.port, fields=one))


def test_keys_share_nothing_unless_the_rule_says_so(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = OK
    proxy = ruled(CACHE)
    chat(proxy.port, fields=bearer("one"))
    assert not hit(chat(proxy.port, fields=bearer("two")))
    assert not hit(chat(proxy.port))
    assert hit(chat(proxy.port, fields=bearer("one")))
    shared = ruled(rule(scope="all"))
    chat(shared.port, fields=bearer("one"))
    assert hit(chat(shared.port, fields=bearer("two")))


def test_users_of_a_key_share_nothing_where_the_rule_says_so(
    ruled: Ruled, provider: FakeProvider
) -> None:
    provider.script = OK
    proxy = ruled(rule(scope="user"))
    ana, bo = [("Meterline-User", "ana")], [("Meterline-User", "bo")]
    chat(proxy.port, fields=ana)
    assert not hit(chat(proxy.port, fields=bo))
    assert hit(chat(proxy.port, fields=ana))
    assert not hit(chat(proxy.port, fields=[*bearer("other"), *ana]))


def test_an_answer_grows_old(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = numbered()
    proxy = ruled(rule(ttl_seconds=0.5))
    first, again = chat(proxy.port), chat(proxy.port)
    assert again.body == first.body
    wait_for(lambda: chat(proxy.port).body != first.body, "the answer to be too old")


def test_the_client_may_refuse_what_is_kept(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = numbered()
    proxy = ruled(CACHE)

    def ask(control: str) -> bytes:
        seen = chat(proxy.port, fields=[("Cache-Control", control)] if control else [])
        return orjson.loads(seen.body)["choices"][0]["message"]["content"].encode()

    assert [ask("no-store"), ask(""), ask("")] == [b"1", b"2", b"2"]
    assert [ask("no-cache"), ask("")] == [b"3", b"3"], "what is new is kept"
    assert [ask("max-age=0"), ask("max-age=60")] == [b"4", b"4"]
    assert [ask("no-store"), ask("")] == [b"5", b"4"]


def test_what_is_drawn_by_chance_is_kept_as_the_rule_says(
    ruled: Ruled, provider: FakeProvider
) -> None:
    provider.script = OK
    proxy = ruled(rule(sampled=False))
    for _ in range(2):
        assert not hit(seen := chat(proxy.port, temperature=0.7))
        assert not hit(chat(proxy.port))
    assert actions(closed(proxy, seen)) == [("cache", "passed by")]
    chat(proxy.port, temperature=0)
    assert hit(chat(proxy.port, temperature=0))


ERROR_EVENT = b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n'


@pytest.mark.parametrize(
    "bad",
    [
        answering(answer(said(), status=b"500 No")),
        answering(answer(said(), status=b"201 Created")),
        answering(answer(b'{"error":{"message":"no"}}')),
        answering(answer(said()[:-20])),
        answering(answer(b"")),
        streaming(WORD, ERROR_EVENT),
        streaming(ERROR_EVENT),
        streaming(WORD, WORD),
        streaming(WORD, WORD, end=False),
        resetting,
    ],
    ids=["500", "201", "error", "torn", "empty", "late", "early", "endless", "cut", "reset"],
)
def test_what_is_not_whole_or_has_an_error_is_never_given_again(
    ruled: Ruled, provider: FakeProvider, bad: Script
) -> None:
    provider.script = one_after_another(bad, STREAM)
    proxy = ruled(CACHE)
    with connect(proxy.port) as wire:
        body = orjson.dumps({"model": "gpt-4o-mini", "messages": [], "stream": True})
        wire.send(raw_request("POST", CHAT, body=body))
        wire.ended(0.2)
    for expected in (False, True):
        with connect(proxy.port) as wire:
            wire.send(raw_request("POST", CHAT, body=body))
            seen = wire.answer("POST")
        assert (hit(seen), seen.body) == (expected, WORD + WORD + END + DONE)


def test_a_client_that_leaves_leaves_nothing_behind(ruled: Ruled, provider: FakeProvider) -> None:
    def endless(wire, _) -> None:
        wire.send(EVENTS + chunk(WORD))

    provider.script = one_after_another(endless, STREAM)
    proxy = ruled(CACHE)
    body = orjson.dumps({"model": "gpt-4o-mini", "messages": [], "stream": True})
    with connect(proxy.port) as wire:
        wire.send(raw_request("POST", CHAT, body=body))
        wire.head()
        wire.chunk()
        wire.reset()
    wait_for(proxy.closed_entries, "the end of the exchange")
    with connect(proxy.port) as wire:
        wire.send(raw_request("POST", CHAT, body=body))
        seen = wire.answer("POST")
    assert not hit(seen)
    assert seen.body == WORD + WORD + END + DONE


def test_what_no_rule_is_for_goes_on(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = OK
    narrow = CACHE.replace("cache", 'when = { feature = "faq" }\ncache')
    proxy = ruled(narrow)
    for _ in range(2):
        assert not hit(chat(proxy.port))
        with connect(proxy.port) as wire:
            wire.send(raw_request("GET", "/openai/v1/models", [("Meterline-Feature", "faq")]))
            assert not hit(wire.answer())
    assert len(provider.requests) == 4


def test_the_longest_unused_answers_give_way(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = OK
    proxy = ruled(rule(max_entries=2))
    for text in ("a", "b", "a", "c"):
        chat(proxy.port, text=text)
    assert [hit(chat(proxy.port, text=text)) for text in ("a", "c", "b")] == [True, True, False]


def test_a_large_answer_is_not_kept(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = answering(answer(said("x" * 3000)))
    proxy = ruled(rule(max_bytes=8192))
    seen = chat(proxy.port)
    assert seen.status == 200
    assert not hit(chat(proxy.port))
    assert actions(closed(proxy, seen)) == [("cache", "not kept")]


def test_answers_outlive_new_rules_but_no_restart(
    ruled: Ruled, provider: FakeProvider, start_proxy: Callable[..., Meterline]
) -> None:
    provider.script = OK
    proxy = ruled(CACHE)
    chat(proxy.port)
    path = proxy.data_dir.parent / "meterline.toml"
    more = '[[rules]]\nname = "try-again"\nretry = {}\n'
    path.write_text(path.read_text() + more)
    wait_for(lambda: proxy.health()["rules"]["in_force"] == 2, "the new rules")
    assert hit(chat(proxy.port))
    proxy.stop()
    again = start_proxy(rules=CACHE, data_dir=proxy.data_dir)
    assert not hit(chat(again.port))


def test_a_hit_counts_as_a_request_and_costs_no_money(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = OK
    budget = '[[rules]]\nname = "cap"\nbudget = { usd = 0.0012, expected_output_tokens = 10 }\n'
    limit = '[[rules]]\nname = "few"\nlimit = { requests = 5, tokens = 4000 }\n'
    proxy = ruled(budget + limit + CACHE)
    assert [chat(proxy.port).status for _ in range(6)] == [200] * 5 + [429]
    assert len(provider.requests) == 1


def test_a_limit_before_a_cache_before_a_fallback_with_retries(
    ruled: Ruled, provider: FakeProvider
) -> None:
    down = answering(answer(b"{}", status=b"500 No"))
    provider.script = one_after_another(down, down, OK)
    rules = (
        '[[rules]]\nname = "few"\nlimit = { per = "key", requests = 3 }\n'
        + CACHE
        + '[[rules]]\nname = "elsewhere"\nfallback = { to = ["behind/other"] }\n'
        + '[[rules]]\nname = "try-again"\nretry = { attempts = 2, first_wait_seconds = 0.01 }\n'
    )
    proxy = ruled(rules)
    seen = [chat(proxy.port) for _ in range(4)]
    assert [each.status for each in seen] == [200, 200, 200, 429]
    assert [hit(each) for each in seen] == [False, True, True, False]
    first, second, _, refused = (closed(proxy, each) for each in seen)
    assert statuses(first) == [500, 500, 200]
    assert [policy for policy, _ in actions(first)] == ["retry", "retry", "fallback", "cache"]
    assert (statuses(second), actions(second)) == ([], [("cache", "hit")])
    assert (second.provider, second.model, second.upstream) == ("behind", "other", None)
    assert actions(refused) == [("limit", "refused")]
    assert [row["provider"] for row in rows(proxy)] == ["behind"] * 3 + ["openai"]


def test_the_sdk_gets_the_same_stream_again(ruled: Ruled, demo: Provider) -> None:
    proxy = ruled(CACHE, tables={"providers.openai": {"base_url": demo.url}})
    client = openai.OpenAI(base_url=f"{proxy.url}/openai/v1", api_key="sk-test-0123456789")

    def ask() -> tuple[list[str], str | None]:
        raw = client.chat.completions.with_raw_response.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": "What is a cache?"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        with raw.parse() as stream:
            chunks = [event.model_dump_json() for event in stream]
        return chunks, raw.headers.get("meterline-cache")

    (first, missed), (second, given) = ask(), ask()
    assert first == second
    assert len(first) > 3
    assert (missed, given) == (None, "exact")
    wait_for(lambda: len(proxy.closed_entries()) == 2, "the ends")
    paid, saved = rows(proxy)
    assert saved["saved_usd"] == paid["cost_usd"] > 0
    assert saved["cost_usd"] == 0


def test_where_usage_is_asked_for_and_hidden_hits_hide_it_too(ruled: Ruled, demo: Provider) -> None:
    tables = {"providers.openai": {"base_url": demo.url, "inject_stream_usage": True}}
    proxy = ruled(CACHE, tables=tables)
    first, second = chat(proxy.port, stream=True), chat(proxy.port, stream=True)
    assert hit(second)
    assert second.body == first.body
    assert b'"usage":{' not in second.body
    for seen in (first, second):
        closed(proxy, seen)
    paid, saved = rows(proxy)
    assert saved["saved_usd"] == paid["cost_usd"] > 0


def test_bodies_that_may_not_touch_the_disk_do_not(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = answering(answer(said("a secret answer")))
    proxy = ruled(CACHE, tables={"capture": {"content": "usage"}})
    for seen in [chat(proxy.port), chat(proxy.port)]:
        closed(proxy, seen)
    assert hit(seen)
    assert rows(proxy)[1]["saved_usd"] == COST
    files = [path for path in proxy.data_dir.rglob("*") if path.is_file()]
    assert files
    assert not any(b"a secret answer" in path.read_bytes() for path in files)


def test_many_answers_take_bounded_memory(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = answering(answer(said("x" * 200_000)))
    proxy = ruled(rule(max_bytes=4 << 20))
    chat(proxy.port, text="first")
    before = proxy.rss_bytes()
    for number in range(150):
        chat(proxy.port, text=str(number))
    assert proxy.rss_bytes() - before < 24 << 20, "of 30 MB that were answered"
    assert hit(chat(proxy.port, text="149"))
    assert not hit(chat(proxy.port, text="0"))


def test_a_page_of_another_site_reads_no_kept_answer(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = OK
    proxy = ruled(rule(scope="all"))
    chat(proxy.port)
    assert not hit(chat(proxy.port, fields=[("Sec-Fetch-Site", "cross-site")]))
