"""Limits and budgets: checked together, held, settled, and always given back."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import orjson
import pytest

from tests.proxy.policies.conftest import (
    CHAT,
    WORD,
    Ruled,
    actions,
    chat,
    closed,
    resetting,
    streaming,
)
from tests.support.posted import select
from tests.support.processes import Meterline, wait_for
from tests.support.raw import FakeProvider, Message, answer, answering, connect, request
from tests.support.services import Provider, meterline

USED = {"prompt_tokens": 1000, "completion_tokens": 1000}
OK = answering(answer(orjson.dumps({"model": "gpt-4o-mini", "usage": USED})))
"""At list prices of gpt-4o-mini: 0.00015 + 0.0006 = 0.00075 USD."""
COST = Decimal("0.00075")


def rule(does: str, name: str = "cap", when: str = "") -> str:
    return f'[[rules]]\nname = "{name}"\n{when}\n{does}\n'


def user(name: str) -> list[tuple[str, str]]:
    return [("Meterline-User", name)]


def error(seen: Message) -> str:
    return str(orjson.loads(seen.body)["error"]["message"])


def test_requests_beyond_the_limit_get_a_429_that_says_when(
    ruled: Ruled, provider: FakeProvider
) -> None:
    proxy = ruled(rule('limit = { per = "user", requests = 2 }'))
    assert [chat(proxy.port, fields=user("ana")).status for _ in range(2)] == [200, 200]
    seen = chat(proxy.port, fields=user("ana"))
    assert seen.status == 429
    assert 50 <= int(seen.value(b"retry-after")) <= 62
    assert "cap: 100% of 2 requests is used by user ana" in error(seen)
    record = closed(proxy, seen)
    assert (record.outcome, record.error_type, record.attempts) == ("refused", "limit_reached", [])
    assert actions(record) == [("limit", "refused")]
    assert record.rules == ["cap"]
    assert chat(proxy.port, fields=user("bo")).status == 200
    assert len(provider.requests) == 3


def test_a_window_slides(ruled: Ruled) -> None:
    proxy = ruled(rule("limit = { requests = 1, window_seconds = 0.5 }"))
    assert chat(proxy.port).status == 200
    assert chat(proxy.port).status == 429
    wait_for(lambda: chat(proxy.port).status == 200, "room in the window")


@pytest.mark.parametrize("stream", [False, True])
def test_tokens_are_held_before_and_settled_after(
    ruled: Ruled, provider: FakeProvider, stream: bool
) -> None:
    usage = orjson.dumps({"model": "m", "choices": [], "usage": USED})
    provider.script = streaming(WORD, b"data: " + usage + b"\n\n") if stream else OK
    proxy = ruled(rule("limit = { tokens = 4500, expected_output_tokens = 10 }"))
    statuses = [chat(proxy.port, stream=stream).status for _ in range(4)]
    assert statuses == [200, 200, 200, 429]


def test_what_a_call_allows_itself_is_held(ruled: Ruled) -> None:
    proxy = ruled(rule("limit = { tokens = 1000 }"))
    assert chat(proxy.port, max_tokens=2000).status == 429
    assert chat(proxy.port, max_completion_tokens=100).status == 200


@pytest.mark.parametrize("stream", [False, True])
def test_eight_answers_hold_eight_times_as_much(
    ruled: Ruled, provider: FakeProvider, stream: bool
) -> None:
    provider.script = streaming(WORD) if stream else OK
    proxy = ruled(rule("limit = { tokens = 1500 }"))
    assert chat(proxy.port, stream=stream, max_tokens=100, n=8).status == 200
    proxy = ruled(rule("limit = { tokens = 700 }"))
    seen = chat(proxy.port, stream=stream, max_tokens=100, n=8)
    assert (seen.status, actions(closed(proxy, seen))) == (429, [("limit", "refused")])
    assert chat(proxy.port, stream=stream, max_tokens=100).status == 200
    gemini = "/gemini/v1beta/models/gemini-2.5-flash:generateContent"
    config = {"candidateCount": 8, "maxOutputTokens": 100}
    assert chat(proxy.port, target=gemini, generationConfig=config).status == 429


def test_what_never_fits_is_told_so_and_not_asked_to_come_back(ruled: Ruled) -> None:
    proxy = ruled(rule("limit = { tokens = 1000 }"))
    seen = chat(proxy.port, max_tokens=2000)
    assert seen.values(b"retry-after") == []
    assert "0% of 1000 tokens is used by all, and this call may use 20" in error(seen)
    assert error(seen).endswith("That never fits")


@pytest.mark.parametrize("junk", ["x-api-key", "authorization"])
def test_a_budget_per_key_is_not_escaped_with_made_up_keys(
    ruled: Ruled, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, junk: str
) -> None:
    """The provider looks at one credential only, or at none where the proxy adds its own."""
    provider.script = OK
    monkeypatch.setenv("OWN_KEY", "sk-own-0123456789")
    own = {"base_url": provider.url, "api_key_env": "OWN_KEY"}
    tables = {"providers.openai": own} if junk == "authorization" else {}
    proxy = ruled(rule('budget = { per = "key", usd = 0.001 }'), tables=tables)

    def call(number: int) -> int:
        made_up = (junk, f"sk-made-up-{number}")
        shown = [made_up] if tables else [made_up, ("Authorization", "Bearer sk-real-0123456789")]
        return chat(proxy.port, fields=shown).status

    assert [call(number) for number in range(3)] == [200, 429, 429]


def test_a_body_of_unknown_size_meets_conditions_like_any_other(ruled: Ruled) -> None:
    proxy = ruled(rule("limit = { requests = 1 }", when='when = { model = "gpt-4o*" }'))
    body = b'{"model":"gpt-4o","messages":[]}'

    def call() -> int:
        with connect(proxy.port) as wire:
            head = b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            wire.send(head % CHAT.encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
            return wire.answer("POST").status

    assert [call() for _ in range(2)] == [200, 429]


def test_calls_at_a_time_are_bounded_and_slots_come_back(
    ruled: Ruled, provider: FakeProvider
) -> None:
    provider.script = lambda _wire, _message: None
    proxy = ruled(rule("limit = { concurrent = 2 }"))
    wires = [connect(proxy.port) for _ in range(2)]
    for number, wire in enumerate(wires):
        wire.send(request("POST", CHAT, body=b"{}"))
        wait_for(lambda n=number: len(provider.requests) > n, "the attempt")
    seen = chat(proxy.port)
    assert seen.status == 429
    assert "2 calls at a time" in error(seen)
    for wire in wires:
        wire.reset()
    provider.script = OK
    wait_for(lambda: chat(proxy.port).status == 200, "the slots")


@pytest.mark.parametrize("fails", [resetting, answering(answer(status=b"500 No"))])
def test_what_was_held_for_a_failed_call_comes_back(
    ruled: Ruled, provider: FakeProvider, fails: Callable
) -> None:
    proxy = ruled(rule("limit = { tokens = 1000, concurrent = 1, expected_output_tokens = 900 }"))
    provider.script = fails
    assert [chat(proxy.port).status for _ in range(3)] in ([502] * 3, [500] * 3)
    provider.script = OK
    assert chat(proxy.port).status == 200


def test_all_limits_are_checked_before_any_is_charged(ruled: Ruled) -> None:
    many = rule('limit = { per = "user", requests = 3 }', "many")
    few = rule("limit = { requests = 1 }", "few", 'when = { feature = "rare" }')
    proxy = ruled(many + few)
    rare = [*user("ana"), ("Meterline-Feature", "rare")]
    assert [chat(proxy.port, fields=rare).status for _ in range(4)] == [200, 429, 429, 429]
    assert [chat(proxy.port, fields=user("ana")).status for _ in range(3)] == [200, 200, 429]


def test_a_budget_warns_and_then_refuses(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = OK
    budget = "budget = { usd = 0.002, soft = 0.5, expected_output_tokens = 100 }"
    proxy = ruled(rule(budget))
    first, second, third = (chat(proxy.port) for _ in range(3))
    assert first.values(b"meterline-budget") == []
    assert second.values(b"meterline-budget") == []
    assert third.value(b"meterline-budget").startswith(b"cap 7")
    assert actions(closed(proxy, third)) == [("limit", "warned")]
    seen = chat(proxy.port)
    assert seen.status == 429
    assert "of $0.002 is used by all" in error(seen)
    assert int(seen.value(b"retry-after")) > 0
    assert closed(proxy, seen).error_type == "budget_used_up"


def test_a_soft_budget_only_warns(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = OK
    proxy = ruled(rule("budget = { usd = 0.001, hard = false }"))
    seen = [chat(proxy.port) for _ in range(4)]
    assert [each.status for each in seen] == [200] * 4
    assert seen[-1].value(b"meterline-budget").startswith(b"cap ")


def test_a_model_without_a_price_passes_or_not_as_the_rule_says(ruled: Ruled) -> None:
    proxy = ruled(rule("budget = { usd = 0.001 }"))
    seen = chat(proxy.port, model="nobody-knows")
    assert seen.status == 200
    assert actions(closed(proxy, seen)) == [("limit", "let it through uncounted")]
    proxy = ruled(rule('budget = { usd = 0.001, unpriced = "refuse" }'))
    seen = chat(proxy.port, model="nobody-knows")
    assert (seen.status, error(seen)[:20]) == (403, "meterline: cap: nobo")
    with connect(proxy.port) as wire:
        wire.send(request("GET", "/openai/v1/models"))
        assert wire.answer().status == 200, "a list of models costs nothing"


def test_changing_labels_does_not_escape_a_budget(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = OK
    proxy = ruled(rule('budget = { per = "user", usd = 0.002, expected_output_tokens = 10 }'))
    bearer = ("Authorization", "Bearer sk-one-0123456789")
    fields = [[*user(f"u{n}"), ("X-Forwarded-For", f"10.0.0.{n}"), bearer] for n in range(5)]
    assert [chat(proxy.port, fields=each).status for each in fields] == [200, 200, 200, 429, 429]
    other = [("Authorization", "Bearer sk-two-0123456789")]
    assert chat(proxy.port, fields=other).status == 200


def test_a_budget_nearly_used_sends_calls_to_a_cheaper_model(
    ruled: Ruled, provider: FakeProvider
) -> None:
    provider.script = OK
    budget = rule("budget = { usd = 0.01, hard = false }", "month")
    used = 'when = { budget_used = { budget = "month", over = 0.12 } }'
    proxy = ruled(budget + rule('route = { to = "openai/cheap" }', "cheaper", used))
    for _ in range(3):
        chat(proxy.port)
    models = [orjson.loads(message.body)["model"] for message in provider.requests]
    assert models == ["gpt-4o-mini", "gpt-4o-mini", "cheap"]


def test_budgets_know_after_a_restart_what_was_spent(
    ruled: Ruled, provider: FakeProvider, start_proxy: Callable[..., Meterline]
) -> None:
    provider.script = OK
    rules = rule("budget = { usd = 0.004, expected_output_tokens = 10 }")
    proxy = ruled(rules)
    posted, unposted = chat(proxy.port), chat(proxy.port)
    closed(proxy, posted)
    config = str(proxy.data_dir.parent / "meterline.toml")
    assert meterline("post", "--once", "--config", config).returncode == 0
    unposted = chat(proxy.port)
    closed(proxy, unposted)
    proxy.kill()
    again = start_proxy(rules=rules, data_dir=proxy.data_dir)
    statuses = [chat(again.port).status for _ in range(4)]
    assert statuses == [200, 200, 200, 429], "three times 0.00075 of 0.004 were spent before"


def test_windows_know_after_a_restart_what_was_used(
    ruled: Ruled, provider: FakeProvider, start_proxy: Callable[..., Meterline]
) -> None:
    provider.script = OK
    requests = 'limit = { per = "user", requests = 3, window_seconds = 600 }'
    tokens = "limit = { tokens = 9000, expected_output_tokens = 10, window_seconds = 900 }"
    rules = rule(requests) + rule(tokens, "words")
    proxy = ruled(rules)
    closed(proxy, chat(proxy.port, fields=user("ana")))
    config = str(proxy.data_dir.parent / "meterline.toml")
    assert meterline("post", "--once", "--config", config).returncode == 0
    closed(proxy, chat(proxy.port, fields=user("ana")))
    proxy.kill()
    again = start_proxy(rules=rules, data_dir=proxy.data_dir)
    assert [chat(again.port, fields=user("ana")).status for _ in range(2)] == [200, 429]
    seen = [chat(again.port, fields=user("bo")) for _ in range(3)]
    assert [each.status for each in seen] == [200, 200, 429], "five times 2000 tokens are used"
    assert "words: " in error(seen[-1])


def test_a_budget_that_comes_with_a_reload_knows_the_past(
    ruled: Ruled, provider: FakeProvider
) -> None:
    provider.script = OK
    other = rule("retry = {}", "again")
    proxy = ruled(other)
    for _ in range(3):
        closed(proxy, chat(proxy.port))
    path = proxy.data_dir.parent / "meterline.toml"
    path.write_text(path.read_text().replace(other, rule("budget = { usd = 0.002 }")))
    wait_for(lambda: chat(proxy.port).status == 429, "the past of the budget")


def test_many_calls_at_the_edge_of_a_budget_go_beyond_by_nothing_that_was_not_held(
    ruled: Ruled, demo: Provider
) -> None:
    """What is held here bounds what a call can cost, so that nothing may go beyond."""
    most = Decimal("0.01")
    rules = rule(f"budget = {{ usd = {most} }}")
    proxy = ruled(rules, tables={"providers.openai": {"base_url": demo.url}})

    def one(_: int) -> int:
        return chat(proxy.port, text="word " * 400, max_tokens=200).status

    with ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(one, range(500)))
    assert set(statuses) == {200, 429}
    wait_for(lambda: len(proxy.closed_entries()) == 500, "the ends")
    config = str(proxy.data_dir.parent / "meterline.toml")
    assert meterline("post", "--once", "--config", config).returncode == 0
    (row,) = select(proxy.data_dir / "meterline.duckdb", "SELECT sum(cost_usd) t FROM exchanges")
    assert most * Decimal("0.8") < row["t"] <= most


def test_at_99_percent_calls_go_beyond_by_no_more_than_they_use_above_what_was_held(
    ruled: Ruled, provider: FakeProvider
) -> None:
    """Calls that do not bound their answers: little is held for them, and they use more."""
    provider.script = OK
    most, used_before = 100 * COST, 99
    proxy = ruled(rule(f"budget = {{ usd = {most}, expected_output_tokens = 100 }}"))
    assert all(chat(proxy.port).status == 200 for _ in range(used_before))
    with ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(lambda _: chat(proxy.port).status, range(500)))
    assert set(statuses) == {200, 429}
    beyond = (used_before + statuses.count(200)) * COST - most
    held = 100 * Decimal("0.0000006")
    assert beyond <= statuses.count(200) * (COST - held)
    (seen,) = [chat(proxy.port)]
    share = (used_before + statuses.count(200)) / 100
    assert f"cap: {share:.0%} of" in error(seen), "nothing is held, refused calls charged nothing"


def test_several_workers_cannot_count_together(ruled: Ruled) -> None:
    with pytest.raises(AssertionError, match="each worker would count for"):
        ruled(rule("limit = { requests = 1 }"), tables={"server": {"workers": 2}})
