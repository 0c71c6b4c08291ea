"""Looking through bodies, and keeping in the record what came of it.

Owns the bounds of a look, where it takes place, and its words in the record: which never say what
was found, but its kind and how much of it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict

from proxy.calls.call import Call
from proxy.screening.bodies import Screened, Seen, screened
from proxy.screening.masks import Masks
from proxy.screening.plan import Looks
from proxy.screening.screen import Screen, Wanted

MOST_BYTES = 16 << 20
"""Larger bodies are not looked through."""
APART_BYTES = 64 << 10
"""Larger bodies are looked through in a thread, so that other calls go on."""
_DONE = {"note": "noted", "mask": "masked", "refuse": "refused"}
UNREAD = "cannot_be_screened"


async def look(
    data: bytes, screen: Screen, masks: Masks, top: frozenset[str] = frozenset()
) -> Screened:
    """Look through a body without content coding; `top` are members that are passed over."""
    if not screen or not data:
        return Screened(data, False, {}, None)
    if len(data) <= APART_BYTES:
        return screened(data, screen, masks, top)
    return await asyncio.to_thread(screened, data, screen, masks, top)


def note(call: Call, side: str, seen: Seen) -> None:
    """Keep what was found."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for wanted, values in seen.items():
        found[wanted.rule, _DONE[wanted.action]].append(f"{wanted.name} {len(values)}")
    for (rule, action), words in found.items():
        call.decide("guardrail", rule, action, f"{side}: {', '.join(sorted(words))}")


def why_found(wanted: Wanted, side: str) -> str:
    return f"{wanted.rule}: the {side} holds what must not pass ({wanted.name})"


def why_unread(call: Call, looks: Looks, side: str) -> str | None:
    """Why a call is refused whose body cannot be looked through; None where it passes."""
    words = f"the {side} cannot be looked through"
    if looks.strict is not None:
        call.decide("guardrail", looks.strict, "refused", words)
        return f"{looks.strict}: {words}, and the rule wants that"
    for rule in looks.rules:
        call.decide("guardrail", rule, "passed", words)
    return None
