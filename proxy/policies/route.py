"""Route: a call goes elsewhere than the client sent it.

Owns nothing but the move, and telling what the answer used; which calls go where, the rules and
proxy/rules/routing.py say.
"""

from __future__ import annotations

import time

from proxy.calls.call import Call, Next, Reply
from proxy.calls.destinations import Destination, Destinations
from proxy.calls.watched import WatchedReply
from proxy.limits import usage_of_reply
from proxy.limits.money import Price
from proxy.memory import Memory
from proxy.reading import Copied
from proxy.rules.choosing import Rules
from proxy.rules.routing import Routing
from proxy.rules.settings import Route


class RoutePolicy:
    """Moves calls by the first rule that concerns them."""

    def __init__(
        self,
        rules: Rules[Route],
        destinations: Destinations,
        memory: Memory,
        price: Price | None,
    ) -> None:
        self._routing = Routing(rules, memory, price)
        self._destinations = destinations

    async def __call__(self, call: Call, next_step: Next) -> Reply:
        routed = self._routing.route(call, time.monotonic())
        if routed is not None and routed.to is None:
            call.decide("route", routed.rule, "left it where it is", routed.reason)
        elif routed is not None:
            to = Destination.of(str(routed.to))
            moved = self._destinations.moved(call, to)
            if moved is None:
                why = "its model cannot be changed"
                call.decide("route", routed.rule, f"did not ask {to}", why)
            else:
                call.decide("route", routed.rule, f"sent to {to}", routed.reason)
                call = moved
        reply = await next_step(call)
        session = call.labels.get("session_id") if self._routing.weighs else None
        if session is None or reply.status >= 400:
            return reply
        return WatchedReply(reply, _Told(self._routing, call, reply, session))


class _Told:
    """Tells the routing what an answer used, once it has ended."""

    def __init__(self, routing: Routing, call: Call, reply: Reply, session: str) -> None:
        self._routing, self._call, self._reply, self._session = routing, call, reply, session

    def __call__(self, copy: Copied, whole: bool) -> None:
        if not whole:
            return
        call, trail = self._call, self._call.trail
        _, usage = usage_of_reply.read(call.asked, self._reply, copy)
        provider = trail.upstream or call.upstream
        model = trail.sent_model or call.model
        self._routing.answered(self._session, provider, model, usage, time.monotonic())
