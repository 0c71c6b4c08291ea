"""The chain: which policies act, and in which order.

Owns that order, for all to see:

    access -> guardrail -> limit -> cache -> route -> balance -> fallback -> retry -> breaker
        -> keys -> upstream

What may not go on is refused before anything else is done about it. What was answered before is
answered again, before it goes anywhere. Where a call goes is settled next; then it goes along its
fallbacks; at each of them it is tried again; each try is a call in the circuit of its upstream,
with one key of the proxy's or another. A policy without a rule is not in the chain, and without any
there is no chain.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass

from proxy.caching.embedding import Embeddings
from proxy.caching.meaning import Meaning
from proxy.calls.call import Call, Next, Policy, Reply
from proxy.calls.destinations import Destinations
from proxy.limits.money import Price
from proxy.memory import Memory
from proxy.policies.access import AccessPolicy
from proxy.policies.balance import BalancePolicy
from proxy.policies.breaker import BreakerPolicy
from proxy.policies.cache import CachePolicy
from proxy.policies.fallback import FallbackPolicy
from proxy.policies.guardrail import GuardrailPolicy
from proxy.policies.keys import KeysPolicy
from proxy.policies.limit import LimitPolicy
from proxy.policies.retry import RetryPolicy
from proxy.policies.route import RoutePolicy
from proxy.rules.choosing import Rules
from proxy.rules.guarding import Guardrail
from proxy.rules.settings import (
    Balance,
    Breaker,
    Budget,
    Cache,
    Fallback,
    Limit,
    Retry,
    Route,
    Rule,
)
from proxy.screening.checker import Send
from proxy.screening.masks import Masks


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What policies need beside rules. It outlives them: a reload makes a new chain in it."""

    memory: Memory
    destinations: Destinations
    key_counts: Mapping[str, int]
    """Keys of the proxy's own, by provider."""
    price: Price | None = None
    virtual_keys: bool = False
    """Some may not use all models."""
    masks: Masks | None = None
    """What guardrails mask with, and..."""
    send: Send | None = None
    """...how they ask a checker."""


class Chain:
    """The policies of one set of rules before `send`, which makes one attempt."""

    def __init__(self, acting: Sequence[Policy], send: Next) -> None:
        step = send
        for policy in reversed(acting):
            step = _before(step, policy)
        self.begin = step
        """Takes a call along all of them. Raises AttemptFailed and Refusal."""
        self.screens = any(isinstance(policy, GuardrailPolicy) for policy in acting)
        """The record of a call waits for a guardrail to open it."""


def _before(next_step: Next, policy: Policy) -> Next:
    act = policy.__call__

    def step(call: Call) -> Awaitable[Reply]:
        return act(call, next_step)

    return step


def build(rules: Sequence[Rule], around: Surroundings, send: Next) -> Chain | None:
    """The chain of these rules; None where no policy acts."""
    acting = policies(rules, around, send)
    return Chain(acting, send) if acting else None


def policies(rules: Sequence[Rule], around: Surroundings, send: Next) -> list[Policy]:
    """The policies that have something to do, in the order in which a call meets them; `send` is
    for calls of their own."""
    memory, destinations = around.memory, around.destinations
    found: list[Policy] = [AccessPolicy()] if around.virtual_keys else []
    if guards := Rules(Guardrail, rules):
        assert around.masks is not None
        assert around.send is not None
        found.append(GuardrailPolicy(guards, around.masks, around.send))
    limits, budgets = Rules(Limit, rules), Rules(Budget, rules)
    if limits or budgets:
        asked = any(rule.enabled and rule.when.budget_used is not None for rule in rules)
        found.append(LimitPolicy(limits, budgets, memory, around.price, tells_shares=asked))
    if caches := Rules(Cache, rules):
        meaning = Meaning(memory, Embeddings(destinations, send))
        found.append(CachePolicy(caches, memory, meaning))
    if routes := Rules(Route, rules):
        found.append(RoutePolicy(routes, destinations, memory, around.price))
    if balances := Rules(Balance, rules):
        found.append(BalancePolicy(balances, memory, destinations))
    if fallbacks := Rules(Fallback, rules):
        found.append(FallbackPolicy(fallbacks, destinations))
    if retries := Rules(Retry, rules):
        found.append(RetryPolicy(retries, memory))
    if breakers := Rules(Breaker, rules):
        found.append(BreakerPolicy(breakers, memory))
    if any(count > 1 for count in around.key_counts.values()):
        found.append(KeysPolicy(around.key_counts, memory))
    return found
