"""`meterline rules`: what is wrong, what rules would have done, and what they saw."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from proxy.config import Settings, parse
from proxy.exchange import Attempt, Content, Decision
from tests.analytics.commands.conftest import NOW, Post, Run

ROUTE = """
[[rules]]
name = "cheaper"
when = { model = "gpt-4o", feature = "chat" }
route = { to = "openai/gpt-4o-mini" }
"""
BUDGET = """
[[rules]]
name = "daily"
budget = { usd = 0.025, period = "month", soft = 1 }
"""


@pytest.fixture
def rules(tmp_path: Path) -> Callable[[str], str]:
    """Writes a file of rules."""

    def written(text: str) -> str:
        path = tmp_path / "new.toml"
        path.write_text(text)
        return str(path)

    return written


def ruled(settings: Settings, text: str) -> Settings:
    import tomllib

    return settings.model_copy(update={"rules": parse(tomllib.loads(text), "test").rules})


def gpt_4o(**values: Any) -> dict[str, Any]:
    """An exchange of 1,000 tokens in and 50 out, which cost $0.003."""
    return {
        "request_model": "gpt-4o",
        "feature": "chat",
        "operation": "chat",
        "user_id": "ana",
        "cost_usd": Decimal("0.003"),
        **values,
    }


def test_check_tells_all_faults_at_once(run: Run, rules: Callable[[str], str]) -> None:
    text = '[[rules]]\nname = "a"\n[[rules]]\nname = "b"\nretri = {}'
    ran = run("rules", "check", rules(text))
    assert ran.code == 1
    assert "it does nothing; give it exactly one of" in ran.out
    assert "Did you mean retry?" in ran.out
    assert ran.out.count("fail") == 2


def test_check_names_prices_tighter_rules_and_what_needs_a_restart(
    run: Run, rules: Callable[[str], str]
) -> None:
    text = """
[server]
port = 8123

[[rules]]
name = "typo"
route = { to = "openai/gpt-4o-minni" }

[[rules]]
name = "tight"
limit = { per = "user", requests = 5 }

[[rules]]
name = "loose"
limit = { per = "user", requests = 50 }

[[rules]]
name = "team"
budget = { usd = 5 }

[[rules]]
name = "late"
when = { model = "x", budget_used = { budget = "team", over = 1.0 } }
retry = {}
"""
    ran = run("rules", "check", rules(text))
    assert ran.code == 0
    assert "typo: no price knows openai/gpt-4o-minni" in ran.out
    assert "Did you mean gpt-4o-mini?" in ran.out
    assert "loose: never refuses, because tight refuses earlier" in ran.out
    assert "late: team refuses calls before more than all of it is used" in ran.out
    assert "server.port: 8080 becomes 8123" in ran.out


def test_check_wants_the_variables_that_keys_come_from(
    run: Run, rules: Callable[[str], str]
) -> None:
    text = f'[providers.openai]\napi_key_env = "SURELY_NOT_SET_ANYWHERE"\n{ROUTE}'
    ran = run("rules", "check", rules(text))
    assert ran.code == 1
    assert "SURELY_NOT_SET_ANYWHERE" in ran.out


def test_broken_settings_are_what_check_is_for(tmp_path: Path) -> None:
    broken = tmp_path / "meterline.toml"
    broken.write_text('[[rules]]\nname = "a"')
    command = [sys.executable, "-m", "meterline", "rules", "check", "--config", str(broken)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert "it does nothing" in ran.stdout


def test_simulate_says_what_would_have_been_saved(
    run: Run, post: Post, rules: Callable[[str], str]
) -> None:
    post(*(gpt_4o() for _ in range(10)), gpt_4o(feature="other"))
    ran = run("rules", "simulate", "--rules", rules(ROUTE), "--format", "json")
    (row,) = json.loads(ran.out)["rules"]
    assert (row["rule"], row["effect"], row["exchanges"], row["users"]) == (
        "cheaper",
        "rerouted",
        10,
        1,
    )
    assert Decimal(str(row["saved_usd"])) == Decimal("0.0282")
    shown = run("rules", "simulate", "--rules", rules(ROUTE)).out
    assert "10 of 11 exchanges would have been touched" in shown
    assert "Supposed: Another model gives as many tokens" in shown


def test_simulate_counts_what_was_spent_before_its_window(
    run: Run, post: Post, settings: Settings
) -> None:
    begun = datetime.now(UTC)  # the window is counted from then on, too
    early = begun - timedelta(minutes=10)
    post(*(gpt_4o(started_at=early) for _ in range(8)), *[gpt_4o(started_at=begun)] * 2)
    tried = ruled(settings, BUDGET)
    ran = run("rules", "simulate", "--last", "5m", "--format", "json", settings=tried)
    (row,) = json.loads(ran.out)["rules"]
    assert (row["effect"], row["exchanges"]) == ("blocked", 2)


LIVE = """
[[rules]]
name = "checked"
when = { feature = "chat" }
guardrail = { pii = "note", webhook = { url = "http://127.0.0.1:9/" }, on = ["request", "answer"] }

[[rules]]
name = "alike"
cache = { semantic = { embed = "openai/text-embedding-3-small" } }

[[rules]]
name = "quicker"
balance = { across = [{ to = "openai/gpt-4o" }, { to = "azure/gpt-4o" }], by = "latency" }
"""


def asked(exchange: Any) -> Content:
    """The stored request of an exchange."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": exchange.exchange_id}]}
    return Content(
        exchange_id=exchange.exchange_id,
        started_at=exchange.started_at,
        target="/v1/chat/completions",
        request_headers="[]",
        request_body=json.dumps(body).encode(),
    )


@pytest.mark.parametrize("command", [["simulate", "--rules"], ["diff"]])
def test_what_shows_only_live_is_named_and_counted(
    run: Run, post: Post, rules: Callable[[str], str], command: list[str]
) -> None:
    stored = {"content": asked, "method": "POST", "request_bytes": 99}
    post(gpt_4o(**stored), gpt_4o(**stored), gpt_4o(feature="x", request_bytes=99))
    file = rules(LIVE)
    ran = run("rules", *command, file, "--format", "json")
    assert json.loads(ran.out)["left_out"] == [
        {"rule": "checked", "part": "what its webhook would say", "exchanges": 2},
        {"rule": "checked", "part": "what stands in answers", "exchanges": 2},
        {"rule": "alike", "part": "hits by meaning", "exchanges": 2},
        {"rule": "quicker", "part": "which destination is the quicker one", "exchanges": 3},
        {"rule": "alike", "part": "requests whose bodies are not stored", "exchanges": 1},
    ]
    shown = run("rules", *command, file).out
    assert "Not simulated: alike, hits by meaning. It concerns 2 exchanges." in shown
    assert "Not simulated: checked, what its webhook would say." in shown


def test_what_is_simulated_whole_leaves_nothing_out(
    run: Run, post: Post, rules: Callable[[str], str]
) -> None:
    post(gpt_4o())
    assert "Not simulated" not in run("rules", "simulate", "--rules", rules(ROUTE)).out


def test_simulate_without_rules_says_so(run: Run, post: Post) -> None:
    post(gpt_4o())
    ran = run("rules", "simulate")
    assert (ran.code, ran.err) == (2, "there is no rule to try: --rules FILE.")


def test_diff_tells_what_would_be_decided_differently(
    run: Run, post: Post, rules: Callable[[str], str], settings: Settings
) -> None:
    post(gpt_4o(), gpt_4o(), gpt_4o(feature="other"))
    old = ruled(settings, ROUTE)
    new = rules(ROUTE.replace(', feature = "chat"', "") + BUDGET)
    ran = run("rules", "diff", new, settings=old)
    assert "1 of 3 exchanges would be decided differently" in ran.out
    assert "cheaper has changed: when." in ran.out
    assert "daily is new." in ran.out
    same = run("rules", "diff", rules(ROUTE), settings=old)
    assert "0 of 3 exchanges" in same.out


def test_explain_says_what_each_rule_saw_with_the_state_of_then(
    run: Run, post: Post, settings: Settings
) -> None:
    text = (
        BUDGET
        + ROUTE
        + """
[[rules]]
name = "after"
when = { model = "gpt-4o" }
route = { to = "azure" }

[[rules]]
name = "agents"
when = { feature = "agent" }
retry = {}

[[rules]]
name = "off"
enabled = false
breaker = {}
"""
    )
    spent = [gpt_4o(started_at=NOW - timedelta(seconds=300 - n)) for n in range(7)]

    def decided(exchange: Any) -> Decision:
        return Decision(
            exchange_id=exchange.exchange_id,
            number=1,
            policy="route",
            rule="cheaper",
            action="sent to openai/gpt-4o-mini",
            reason="openai/gpt-4o was asked for",
        )

    def tried(exchange: Any) -> Attempt:
        return Attempt(
            exchange_id=exchange.exchange_id,
            number=1,
            upstream="openai",
            started_at=exchange.started_at,
            status=200,
        )

    *_, last = post(*spent, gpt_4o(decisions=[decided], attempts_made=[tried]))
    tight = ruled(settings, text.replace("0.025", "0.020"))
    ran = run("rules", "explain", last, "--format", "json", settings=tight)
    rows = {row["rule"]: row for row in json.loads(ran.out)}
    assert list(rows) == ["daily", "cheaper", "after", "agents", "off"]
    assert rows["daily"]["decided"] == "refused (105% of $0.02 is used by all)"
    assert rows["cheaper"]["recorded"] == (
        "sent to openai/gpt-4o-mini (openai/gpt-4o was asked for)"
    )
    assert rows["after"]["saw"] == "a rule of its kind before it concerns the call"
    assert rows["agents"]["saw"] == "feature is chat, not agent"
    assert rows["off"]["saw"] == "it is disabled"
    shown = run("rules", "explain", last, settings=ruled(settings, text)).out
    assert "Decided then, 1: route cheaper" in shown
    assert "Attempt 1: openai, 200." in shown


def test_explain_reads_the_difficulty_from_the_stored_request(
    run: Run, post: Post, settings: Settings
) -> None:
    body = {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Why? Prove it."}],
    }

    def content(exchange: Any) -> Content:
        return Content(
            exchange_id=exchange.exchange_id,
            started_at=exchange.started_at,
            target="/v1/chat/completions",
            request_headers="[]",
            request_body=json.dumps(body).encode(),
        )

    easy = ROUTE.replace('feature = "chat"', "difficulty_below = 5")
    (only,) = post(gpt_4o(content=content, method="POST"))
    ran = run("rules", "explain", only, settings=ruled(settings, easy))
    assert "difficulty 10: reasoning 10, not below 5" in ran.out


def test_explain_of_an_unknown_exchange(run: Run, post: Post) -> None:
    post(gpt_4o())
    assert run("rules", "explain", "ffff0000").code == 1
    assert run("rules", "explain", "no-id!").code == 2
