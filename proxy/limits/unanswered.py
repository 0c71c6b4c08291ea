"""What is charged for a call that was sent and has no answer: its client left, or it broke off.

Owns that estimate, and its words in the record, from which it is known again after a restart.
Providers bill what they have read, so that nobody escapes a budget by hanging up. Refuses to charge
what was not sent, or was answered with an error.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

from proxy.calls.call import Call
from proxy.calls.served import may_be_billed
from proxy.errors import Refusal
from proxy.limits.rates import Rates

POLICY = "limit"
ACTION = "charged its prompt"
_WORDS = re.compile(r"([0-9]+) tokens, \$([0-9.]+)")


class Charge(NamedTuple):
    """A prompt's tokens, as rules estimate them, and what they cost; 0 where there is no price."""

    tokens: int
    usd: Decimal

    def __str__(self) -> str:
        return f"{self.tokens} tokens, ${self.usd:f}: it was sent, and no answer came"


def charge(call: Call, failure: BaseException, rates: Rates) -> Charge | None:
    """What a call that ended with this is charged; None where nobody bills it."""
    bad_body = isinstance(failure.__cause__, Refusal)
    if isinstance(failure, Refusal) or bad_body or not may_be_billed(call.trail.attempts):
        return None
    tokens = call.asked.roughly
    where = call.trail.upstream or call.upstream
    model = call.trail.sent_model or call.asked.model
    usd = rates.expected(where, model, call.asked.operation, tokens, 0)
    return Charge(tokens, usd or Decimal(0))


def told(reason: str) -> Charge | None:
    """The charge that a decision of the record tells."""
    found = _WORDS.match(reason)
    return Charge(int(found[1]), Decimal(found[2])) if found else None
