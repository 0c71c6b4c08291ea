"""Every policy before a provider that fails: what the client gets, and what the record has of it.

The provider is the demo's, with its faults; each case is played with whole answers and as streams.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from proxy.virtual_keys import FILE, issue
from tests.proxy.policies.conftest import CHAT, actions
from tests.support.processes import Meterline
from tests.support.raw import Ended, Message, connect, request
from tests.support.services import Provider

GOOD = "gpt-4o-mini"
MAIL = "Write to ana.b@example.org"
KEY = "sk-proj-abc123DEF456ghi789JKL012mno"
Did = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Step:
    """One call, and what becomes of it: the client's status, those of the attempts (None where one
    failed), what policies did (the beginnings of their words), and the outcome."""

    model: str
    status: int
    attempts: list[int | None]
    did: Did = field(default_factory=list)
    outcome: str = "completed"
    text: str = "Hello"
    members: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    rules: str
    steps: list[Step]
    tables: dict[str, Any] = field(default_factory=dict)


def rule(does: str, name: str = "it", when: str = "") -> str:
    return f'[[rules]]\nname = "{name}"\n{when}\n{does}\n'


def bad(fault: str) -> str:
    return f"gpt-4o!{fault}"


ERROR, GONE, SELF = "provider_error", "upstream_failed", "refused"
RETRY = rule("retry = { attempts = 2, first_wait_seconds = 0.01 }", "again")
FALLBACK = rule(f'fallback = {{ to = ["openai/{GOOD}"] }}', "elsewhere")
AWAY = ("fallback", f"moved to openai/{GOOD}")
GAVE_UP = ("retry", "gave up")
MASKED = ("guardrail", "masked")
CHARGED = ("limit", "charged its prompt")
PRICE = """
[[prices]]
model = "gpt-4o!*"
input_usd_per_mtok = 0.15
output_usd_per_mtok = 0.6
"""
HIT, KEPT, REFUSED = ("cache", "hit"), ("cache", "kept"), ("limit", "refused")
TWO_KEYS = {"api_key_envs": ["DEMO_KEY_A", "DEMO_KEY_B"]}
ARMS = f'{{ to = "openai/{bad("503")}" }}'

CASES = [
    Case(
        "access",
        "",
        [
            Step("gpt-4.1", 403, [], [("access", "refused")], SELF),
            Step(bad("503"), 503, [503], [], ERROR),
        ],
        {"providers.openai": {"api_key_env": "DEMO_KEY_A"}},
    ),
    Case(
        "guardrail on requests",
        rule('guardrail = { secrets = "refuse", pii = "mask" }'),
        [
            Step(bad("503"), 400, [], [("guardrail", "refused")], SELF, text=f"It is {KEY}"),
            Step(bad("503"), 503, [503], [MASKED], ERROR, text=MAIL),
            Step(bad("reset"), 502, [None], [MASKED], GONE, text=MAIL),
            Step(GOOD, 200, [200], [MASKED], text=MAIL),
        ],
    ),
    Case(
        "guardrail on answers",
        rule('guardrail = { pii = "mask", on = "answer" }'),
        [
            Step(bad("500"), 500, [500], [], ERROR),
            Step(bad("reset"), 502, [None], [], GONE),
            Step(GOOD, 200, [200], [MASKED], text=f"Say exactly: {MAIL}"),
            Step(GOOD, 200, [200]),
        ],
    ),
    Case(
        "limit",
        rule("limit = { requests = 3 }"),
        [
            Step(bad("500"), 500, [500], [], ERROR),
            Step(bad("reset"), 502, [None], [], GONE),
            Step(bad("cut"), 200, [200], [], GONE),
            Step(GOOD, 429, [], [REFUSED], SELF),
        ],
    ),
    Case(
        "budget",
        rule("budget = { usd = 0.001, soft = 1, expected_output_tokens = 1 }") + PRICE,
        [
            Step(bad("500"), 500, [500], [], ERROR, text="word " * 4000),
            Step(bad("reset"), 502, [None], [CHARGED], GONE, text="word " * 1200),
            Step(GOOD, 200, [200], [], text="word " * 4000),
            Step(bad("reset"), 429, [], [REFUSED], SELF, text="word " * 4000),
        ],
    ),
    Case(
        "cache",
        rule("cache = {}"),
        [
            Step(bad("503"), 503, [503], [], ERROR),
            Step(bad("503"), 503, [503], [], ERROR),
            Step(bad("cut"), 200, [200], [], GONE),
            Step(bad("error-in-stream"), 200, [200], [KEPT]),
            Step(bad("error-in-stream"), 200, [200], [("cache", "dropped an answer"), KEPT]),
            Step(GOOD, 200, [200], [KEPT]),
            Step(GOOD, 200, [], [HIT], "cached"),
        ],
    ),
    Case(
        "route",
        rule(f'route = {{ to = "openai/{GOOD}" }}', when='when = { model = "gpt-4o!503" }')
        + rule(f'route = {{ to = "openai/{bad("500")}" }}', "down", 'when = { model = "gpt-4.1" }'),
        [
            Step(bad("503"), 200, [200], [("route", f"sent to openai/{GOOD}")]),
            Step("gpt-4.1", 500, [500], [("route", f"sent to openai/{bad('500')}")], ERROR),
        ],
    ),
    Case(
        "balance by weight",
        rule(f"balance = {{ across = [{ARMS}, {{ to = 'openai/{GOOD}', weight = 0.000001 }}] }}"),
        [Step(GOOD, 503, [503], [("balance", f"sent to openai/{bad('503')}")], ERROR)] * 2,
    ),
    Case(
        "balance by latency",
        rule(f"balance = {{ by = 'latency', across = [{ARMS}, {ARMS.replace('4o', '4o-mini')}] }}"),
        [Step(GOOD, 503, [503], [("balance", "sent to openai/gpt-4o")], ERROR)] * 2,
    ),
    Case(
        "fallback",
        FALLBACK,
        [
            Step(bad("529"), 200, [529, 200], [AWAY]),
            Step(bad("400"), 400, [400], [], ERROR),
            Step(bad("hang"), 200, [None, 200], [AWAY]),
            Step(bad("cut"), 200, [200], [], GONE),
        ],
        {"upstream": {"read_timeout_seconds": 0.3}},
    ),
    Case(
        "fallback of what is unsure",
        FALLBACK.replace("] }", "], unsure = true, patience_seconds = 0.5 }"),
        [
            Step(bad("reset"), 200, [None, 200], [AWAY]),
            Step(bad("hang"), 200, [None, 200], [AWAY]),
        ],
    ),
    Case(
        "retry",
        RETRY,
        [
            Step(bad("503"), 503, [503, 503], [("retry", "attempt 2"), GAVE_UP], ERROR),
            Step(bad("reset"), 502, [None], [GAVE_UP], GONE),
            Step(bad("cut"), 200, [200], [], GONE),
            Step(bad("400"), 400, [400], [], ERROR),
        ],
    ),
    Case(
        "breaker",
        rule("breaker = { minimum = 2, failure_rate = 0.5, open_seconds = 30 }"),
        [
            Step(bad("500"), 500, [500], [], ERROR),
            Step(bad("reset"), 502, [None], [("breaker", "opened openai")], GONE),
            Step(GOOD, 503, [], [("breaker", "did not ask openai")], SELF),
        ],
    ),
    Case(
        "keys",
        "",
        [
            Step(bad("429"), 429, [429, 429], [("keys", "key 2 of 2")], ERROR),
            Step(GOOD, 200, [200]),
        ],
        {"providers.openai": TWO_KEYS},
    ),
    Case(
        "a limit before a cache before a fallback with retries",
        rule("limit = { requests = 4 }", "few") + rule("cache = {}", "kept") + FALLBACK + RETRY,
        [
            Step(
                bad("503"),
                200,
                [503, 503, 200],
                [("retry", "attempt 2"), GAVE_UP, AWAY, KEPT],
            ),
            Step(bad("503"), 200, [], [HIT], "cached"),
            Step(bad("400"), 400, [400], [], ERROR),
            Step(bad("503"), 200, [], [HIT], "cached"),
            Step(bad("503"), 429, [], [REFUSED], SELF),
        ],
    ),
    Case(
        "all in a row",
        rule('guardrail = { pii = "mask" }', "masks")
        + rule("limit = { requests = 3 }", "few")
        + rule("budget = { usd = 1 }", "month")
        + rule("cache = {}", "kept")
        + rule(f'fallback = {{ to = ["second/{GOOD}"] }}', "elsewhere")
        + RETRY
        + rule("breaker = { minimum = 2, failure_rate = 0.5, open_seconds = 30 }", "rests")
        + PRICE,
        [
            Step(
                bad("503"),
                200,
                [503, 503, 200],
                [
                    MASKED,
                    ("retry", "attempt 2"),
                    ("breaker", "opened openai"),
                    GAVE_UP,
                    ("fallback", f"moved to second/{GOOD}"),
                    KEPT,
                ],
                text=MAIL,
            ),
            Step(bad("503"), 200, [], [MASKED, HIT], "cached", text=MAIL),
            Step(
                bad("503"),
                200,
                [200],
                [("breaker", "did not ask"), ("fallback", "moved to second"), KEPT],
            ),
            Step(bad("503"), 429, [], [MASKED, REFUSED], SELF, text=MAIL),
        ],
    ),
]


def played(proxy: Meterline, step: Step, *, stream: bool, secret: str | None) -> Message:
    fields = [("Authorization", f"Bearer {secret}")] if secret else []
    messages = [{"role": "user", "content": step.text}]
    asked = {"model": step.model, "messages": messages, "stream": stream, **step.members}
    with connect(proxy.port) as wire:
        wire.send(request("POST", CHAT, fields, orjson.dumps(asked)))
        head = wire.head()
        try:
            body = wire.body(head, until_close=True)
        except Ended as ended:
            if step.outcome != GONE:
                raise AssertionError(f"{step}: {proxy.log.read_text()}") from ended
            body = ended.seen
        return Message(head.start, head.fields, body)


@pytest.fixture
def before_demo(
    start_proxy: Callable[..., Meterline], demo: Provider, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Case], Meterline]:
    for name in ("A", "B"):
        monkeypatch.setenv(f"DEMO_KEY_{name}", f"sk-demo-{name}-0123456789")

    def begin(case: Case, **options: object) -> Meterline:
        openai = {"base_url": demo.url, **case.tables.get("providers.openai", {})}
        second = {"base_url": demo.url}
        tables = {**case.tables, "providers.openai": openai, "providers.second": second}
        return start_proxy(tables, rules=case.rules, **options)

    return begin


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_a_policy_does_is_in_the_record(
    before_demo: Callable[..., Meterline], tmp_path: Any, case: Case, stream: bool
) -> None:
    secret = None
    options: dict[str, object] = {}
    if case.name == "access":
        folder = tmp_path / "keyed"
        secret = issue(folder / FILE, "team", models=["gpt-4o*"])
        options["data_dir"] = folder
    proxy = before_demo(case, **options)
    for step in case.steps:
        seen = played(proxy, step, stream=stream, secret=secret)
        record = proxy.closed(seen.exchange_id)
        got = (seen.status, [each.status for each in record.attempts], record.outcome)
        assert got == (step.status, step.attempts, step.outcome), (step, actions(record))
        did = actions(record)
        assert len(did) == len(step.did), (step, did)
        for (policy, action), (expected, begins) in zip(did, step.did, strict=True):
            assert (policy, action.startswith(begins)) == (expected, True), (step, did)
        assert bool(record.rules) == bool(step.did)
        assert all(each.reason for each in record.decisions)
