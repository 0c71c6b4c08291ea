"""The chain: which policies act, and in which order.

Owns that order, for all to see:

    breaker behind retry: each try is one call to the upstream's circuit

A policy without a rule is not in the chain, and without any rule there is no chain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from proxy.call import Call, Next, Open, Policy, Reply
from proxy.errors import Refusal
from proxy.memory import Memory
from proxy.policies.breaker import BreakerPolicy
from proxy.policies.retry import RetryPolicy
from proxy.rules.choosing import Rules
from proxy.rules.settings import Breaker, Retry, Rule


class Chain:
    """The policies of one set of rules before `send`, which makes one attempt."""

    def __init__(self, rules: Sequence[Rule], memory: Memory, send: Next) -> None:
        step = send
        for policy in reversed(policies(rules, memory)):
            step = partial(policy, next_step=step)
        self._first = step

    async def __call__(self, call: Call) -> Reply:
        """Raises AttemptFailed and Refusal."""
        try:
            return await self._first(call)
        except Open as shut:
            seconds = math.ceil(shut.seconds)
            raise Refusal(str(shut), 503, shut.error_type, retry_after=seconds) from shut


def policies(rules: Sequence[Rule], memory: Memory) -> list[Policy]:
    """The policies that have rules, in the order in which a call meets them."""
    found: list[Policy] = []
    if retries := Rules(Retry, rules):
        found.append(RetryPolicy(retries, memory))
    if breakers := Rules(Breaker, rules):
        found.append(BreakerPolicy(breakers, memory))
    return found
