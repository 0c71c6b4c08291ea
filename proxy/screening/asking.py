"""What a checker is told of a call, and what its word means for it.

Owns the question and the consequence, that of a failure too. Refuses to know how it is asked.
"""

from __future__ import annotations

from typing import Any

import orjson

from proxy.calls.call import Call
from proxy.errors import Refusal
from proxy.rules.guarding import Side, Webhook
from proxy.screening.bodies import Seen
from proxy.screening.checker import CheckFailed, Send, ask, literal
from proxy.screening.screen import Screen, Wanted


async def verdict(
    call: Call, asked: tuple[str, Webhook], side: Side, seen: Seen, body: bytes, send: Send
) -> Screen | None:
    """What the checker wants masked in the body, None where nothing. Raises Refusal."""
    rule, webhook = asked
    try:
        said = await ask(webhook, _question(call, rule, side, seen, body), send)
    except CheckFailed as failure:
        refuses = webhook.on_failure == "refuse"
        action = "refused" if refuses else "passed"
        call.decide("guardrail", rule, action, f"{side}: the checker failed: {failure}")
        if not refuses:
            return None
        message = f"{rule}: its checker failed, and nothing passes without it"
        raise Refusal(message, 503, "checker_failed") from failure
    if said.verdict == "refuse":
        call.decide("guardrail", rule, "refused", f"{side}: the checker said so")
        message = f"{rule}: {said.reason or 'its checker refuses that'}"
        raise Refusal(message, 403, "refused_by_checker")
    if said.verdict == "mask" and said.mask:
        return Screen([Wanted("checker", "mask", rule, literal(said.mask))])
    return None


def _question(call: Call, rule: str, side: Side, seen: Seen, body: bytes) -> dict[str, Any]:
    return {
        "exchange_id": call.trail.exchange_id,
        "rule": rule,
        "phase": side,
        "provider": call.provider,
        "model": call.model,
        "operation": call.operation,
        "stream": bool(call.stream),
        "key": call.key,
        "labels": dict(call.labels),
        "found": {wanted.name: len(values) for wanted, values in seen.items()},
        "body": _readable(body),
    }


def _readable(body: bytes) -> Any:
    """JSON as it is, all else as text."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")
