"""The past is charged once to each account, also to one that a reload makes."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from proxy.config import parse
from proxy.limits.accounts import Now
from proxy.limits.claims import budget_meter, limit_meters
from proxy.limits.money import Spent
from proxy.limits.settlement import present
from proxy.limits.spending import Past
from proxy.memory import Memory
from proxy.rules.choosing import Rules
from proxy.rules.settings import Budget, Limit
from proxy.virtual_keys import pinned


def history(since: datetime, until: datetime, step: timedelta) -> Iterable[Spent]:
    del since, step
    for key in ("one", "two"):
        yield Spent(
            started_at=until - timedelta(seconds=1),
            provider="openai",
            model="gpt-4o",
            operation="chat",
            stream=False,
            labels={"user_id": "ana"},
            key=key,
            input_tokens=None,
            cost_usd=Decimal(3),
            requests=2,
            tokens=50,
        )


def charged(memory: Memory, does: str, *, ours: bool = False) -> dict[str, object]:
    """What the accounts of a rule have once it is in force."""
    rules = parse(tomllib.loads(f'[[rules]]\nname = "cap"\n{does}'), "file").rules
    limits, budgets = Rules(Limit, rules), Rules(Budget, rules)
    past = Past(history, memory, lambda _key, _provider: pinned(None, ours=ours))
    asyncio.run(past.charge(limits, budgets))
    now: Now = present()
    meters = [budget_meter(memory, ready) for ready in budgets]
    meters += [meter for ready in limits for meter in limit_meters(memory, ready)]
    return {
        f"{meter.unit} {name}": account.used(now)
        for meter in meters
        for name, account in meter.buckets
    }


def test_it_is_charged_once() -> None:
    memory = Memory()
    does = 'budget = { per = "key", usd = 10, period = "week" }'
    for _ in range(2):
        assert charged(memory, does) == {"usd key one": 3, "usd key two": 3}


def test_a_changed_rule_knows_the_past_too() -> None:
    memory = Memory()
    charged(memory, 'budget = { per = "key", usd = 10, period = "week" }')
    assert charged(memory, 'budget = { usd = 10, period = "month" }') == {"usd all": 6}
    charged(memory, "limit = { requests = 9 }")
    assert charged(memory, "limit = { requests = 9, tokens = 900 }") == {
        "requests all": 4,
        "tokens all": 100,
    }


def test_keys_that_nobody_checks_share_one_account() -> None:
    does = 'budget = { per = "key", usd = 10, period = "week" }'
    assert charged(Memory(), does, ours=True) == {"usd key (none)": 6}
