"""Rules that cannot be meant as they stand are refused, with the mend."""

from __future__ import annotations

import tomllib

import pytest

from proxy.config import ConfigError, parse
from proxy.rules.conditions import When
from proxy.rules.faults import covers

RETRY = "retry = { attempts = 2 }"


def faults(text: str) -> list[str]:
    try:
        parse(tomllib.loads(text), "file")
    except ConfigError as error:
        return str(error).splitlines()
    return []


def rules(*lines: str) -> str:
    return "\n".join(f'[[rules]]\nname = "r{n}"\n{line}' for n, line in enumerate(lines))


@pytest.mark.parametrize(
    "text",
    [
        rules(RETRY),
        rules(f'when = {{ model = "gpt-*" }}\n{RETRY}', RETRY),
        rules(RETRY, "breaker = {}"),
        rules(f"enabled = false\n{RETRY}", RETRY),
    ],
)
def test_rules_that_can_act_are_taken(text: str) -> None:
    assert faults(text) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (rules(""), "rules[0]: it does nothing; give it exactly one of "),
        (rules(f"{RETRY}\nbreaker = {{}}"), "it does 2 things (retry, breaker)"),
        (rules("retri = {}"), "rules[0].retri: unknown key. Did you mean retry?"),
        (rules("retry = { atempts = 2 }"), "rules[0].retry.atempts: unknown key. Did you mean att"),
        (
            rules(
                "enabled = false\nbudget = { usd = 1 }",
                f'when = {{ budget_used = {{ budget = "r0", over = 0.5 }} }}\n{RETRY}',
            ),
            "rules[1] (r1).when.budget_used: no budget in force is named 'r0'.",
        ),
        (
            rules(
                "budget = { usd = 1 }",
                'when = { budget_used = { budget = "r0", over = 0.5 } }\n'
                'guardrail = { secrets = "note" }',
            ),
            "rules[1] (r1).when.budget_used: guardrails come before budgets, and know of none.",
        ),
        (rules("guardrail = {}"), "rules[0].guardrail: it guards nothing; give it secrets, pii, "),
        (
            rules('guardrail = { patterns = [{ name = "a", pattern = "a**(" }] }'),
            "is no expression of RE2, which knows no (?=...): ",
        ),
        (
            rules('guardrail = { patterns = [{ name = "a", pattern = "a*" }] }'),
            "is met by nothing at all, and so everywhere.",
        ),
        (
            rules('guardrail = { patterns = [{ name = "email", pattern = "a" }] }'),
            "the pattern's name 'email' is taken. Use another",
        ),
        (rules("guardrail = { models = {} }"), "it says nothing; give it allow or deny"),
        (
            rules('guardrail = { tools = { allow = "a", deny = "a" } }'),
            "'a' is both allowed and denied. Remove one",
        ),
        (rules('guardrail = { require = "featur" }'), "must be one of feature, user, session, "),
        (rules('guardrail = { on = "answer", models = { deny = "a" } }'), "add it to on"),
        (rules('guardrail = { webhook = { url = "ftp://x" } }'), "must be an address like http"),
        (rules('guardrail = { detect = { emial = "note" } }'), "rules[0].guardrail.detect"),
        (rules("retry = { attempts = 99 }"), "rules[0].retry.attempts = 99: "),
        (rules(f'when = {{ modle = "x" }}\n{RETRY}'), "when.modle: unknown key. Did you mean mod"),
        (rules(f'when = {{ provider = "opnai" }}\n{RETRY}'), "Did you mean openai?"),
        (
            rules(f"when = {{ input_tokens = {{ over = 9, at_most = 9 }} }}\n{RETRY}"),
            "rules[0] (r0).when.input_tokens: nothing is over 9 and at most 9.",
        ),
        (rules(f"when = {{ input_tokens = {{}} }}\n{RETRY}"), "input_tokens: says nothing."),
        (rules(f'when = {{ hours = {{ start = "25:00" }} }}\n{RETRY}'), "a time of day like 22:30"),
        (rules(f'when = {{ hours = {{ zone = "Mars" }} }}\n{RETRY}'), "a time zone like Europe"),
        (
            rules('cache = { semantic = { embed = "opnai/x" } }'),
            "cache to 'opnai/x': no provider is named opnai. Did",
        ),
        (
            rules('cache = { semantic = { embed = "openai" } }'),
            "must be provider/model, like openai/text-embedding-3-small",
        ),
        (rules("cache = { ttl_seconds = 0 }"), "rules[0].cache.ttl_seconds = 0"),
        (
            rules("cache = {}", 'when = { user = "ana" }\ncache = { ttl_seconds = 5 }'),
            "rules[1] (r1): never acts, because r0 before it takes all its calls.",
        ),
        (
            rules('route = { to = "opnai/x" }'),
            "route to 'opnai/x': no provider is named opnai. Did",
        ),
        (
            rules('route = { to = "openai/" }'),
            "rules[0].route.to = 'openai/': must be provider/model",
        ),
        (rules('fallback = { to = ["azure", "azure"] }'), "fallback to 'azure': is there twice."),
        (rules('balance = { across = [{ to = "azure" }] }'), "rules[0].balance.across"),
        (rules(f"when = {{ model = [] }}\n{RETRY}"), "rules[0].when.model"),
        (f'[[rules]]\nname = "a b"\n{RETRY}', "rules[0].name = 'a b'"),
        (f"[[rules]]\n{RETRY}", "rules[0].name: missing. Add it."),
        (
            f'[[rules]]\nname = "a"\n{RETRY}\n[[rules]]\nname = "a"\nbreaker = {{}}',
            "rules[1] (a): rules[0] has this name. Use another.",
        ),
        (rules(RETRY, RETRY), "rules[1] (r1): never acts, because r0 before it takes all"),
        (
            rules(
                f'when = {{ model = "gpt-*" }}\n{RETRY}',
                f'when = {{ model = ["gpt-4o", "gpt-5*"], feature = "x" }}\n{RETRY}',
            ),
            "rules[1] (r1): never acts",
        ),
    ],
)
def test_each_fault_is_named_with_its_mend(text: str, said: str) -> None:
    (line,) = faults(text)
    assert line.startswith("file: rules[")
    assert said in line


def test_all_faults_are_told_at_once() -> None:
    assert len(faults(rules("", "retri = {}") + "\n[server]\nport = 0")) == 3


@pytest.mark.parametrize(
    ("wide", "narrow", "covered"),
    [
        ({}, {"model": "x"}, True),
        ({"model": "x"}, {}, False),
        ({"model": "gpt-*"}, {"model": "gpt-4*"}, True),
        ({"model": "gpt-4*"}, {"model": "gpt-*"}, False),
        ({"model": ["a", "b"]}, {"model": ["b", "a"]}, True),
        ({"model": ["a"]}, {"model": ["b", "a"]}, False),
        ({"tags": {"a": "*"}}, {"tags": {"a": "x", "b": "y"}}, True),
        ({"tags": {"a": "*"}}, {"tags": {"b": "y"}}, False),
        ({"stream": True}, {"stream": False}, False),
        ({"difficulty_below": 40}, {"difficulty_below": 20}, True),
        ({"difficulty_below": 20}, {"difficulty_below": 40}, False),
        ({"difficulty_below": 20}, {}, False),
        ({"input_tokens": {"over": 5}}, {"input_tokens": {"over": 9}}, True),
        ({"input_tokens": {"over": 5}}, {"input_tokens": {"at_most": 9}}, False),
    ],
)
def test_which_conditions_take_all_calls_of_others(
    wide: dict[str, object], narrow: dict[str, object], covered: bool
) -> None:
    assert covers(When.model_validate(wide), When.model_validate(narrow)) is covered
