"""Route: a call goes elsewhere than the client sent it.

Owns nothing but the move; which calls, the rule's conditions say.
"""

from __future__ import annotations

from proxy.calls.call import Call, KnownOfCall, Next, Reply
from proxy.calls.destinations import Destination, Destinations
from proxy.rules.choosing import Rules
from proxy.rules.settings import Route


class RoutePolicy:
    """Moves calls by the first rule that concerns them."""

    def __init__(self, rules: Rules[Route], destinations: Destinations) -> None:
        self._rules = rules
        self._destinations = destinations

    async def __call__(self, call: Call, next_step: Next) -> Reply:
        known = KnownOfCall(call)
        ready = self._rules.first(known)
        if ready is None:
            return await next_step(call)
        to = Destination.of(ready.does.to)
        asked = f"{known.provider}/{known.model or '?'} was asked for"
        moved = self._destinations.moved(call, to)
        if moved is None:
            call.decide("route", ready.name, f"did not ask {to}", "its model cannot be changed")
            return await next_step(call)
        call.decide("route", ready.name, f"sent to {to}", asked)
        return await next_step(moved)
