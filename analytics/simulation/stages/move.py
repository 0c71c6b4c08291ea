"""Routes and shares on recorded calls.

Owns moving a call to where the rules send it. Which rule and where to, the proxy's routing and
drawing say. Calls without the label that keeps them together are drawn by their identifier, in the
same shares. Which of several is the quicker one nobody can know: by latency nothing is moved.
"""

from __future__ import annotations

from analytics.simulation.left_out import QUICKER
from analytics.simulation.recorded import Replayed
from analytics.simulation.stages import Used
from proxy.calls.destinations import Destination
from proxy.drawing import drawn
from proxy.facts import Usage
from proxy.limits.accounts import Now
from proxy.limits.money import Price
from proxy.memory import Memory
from proxy.policies.balance import sticky_word
from proxy.request_body import WHOLE_BODY_BYTES
from proxy.rules.choosing import Rules
from proxy.rules.routing import Routing
from proxy.rules.settings import Balance, Route


class RouteStage:
    def __init__(self, rules: Rules[Route], memory: Memory, price: Price) -> None:
        self._routing = Routing(rules, memory, price)

    def past(self, call: Replayed, used: Used) -> None:
        self.end(call, used, call.begins)

    def begin(self, call: Replayed) -> None:
        found = self._routing.route(call, call.begins.monotonic)
        if found is not None and found.to is None:
            call.decide("route", found.rule, "left it where it is", found.reason)
        elif found is not None:
            _move(call, "route", found.rule, str(found.to), found.reason)

    def end(self, call: Replayed, used: Used, now: Now) -> None:
        session = call.labels.get("session_id")
        if self._routing.weighs and session is not None and used.tokens:
            usage = call.usage or Usage()
            self._routing.answered(session, call.provider, call.model, usage, now.monotonic)


class BalanceStage:
    def __init__(self, rules: Rules[Balance]) -> None:
        self._rules = rules

    def past(self, call: Replayed, used: Used) -> None:
        """Shares remember nothing."""

    def begin(self, call: Replayed) -> None:
        ready = self._rules.first(call)
        if ready is None:
            return
        if ready.does.by == "latency":
            call.left_out.append((ready.name, QUICKER))
            return
        word = sticky_word(call, ready.does.sticky)
        weights = [(arm.to, arm.weight) for arm in ready.does.across]
        position = drawn(weights, ready.name, word or call.row["exchange_id"])
        by = f"drawn by {ready.does.sticky}" if word is not None else "drawn by chance"
        _move(call, "balance", ready.name, weights[position][0], by)

    def end(self, call: Replayed, used: Used, now: Now) -> None:
        """Shares remember nothing."""


def _move(call: Replayed, policy: str, rule: str, where: str, reason: str) -> None:
    to = Destination.of(where)
    size = call.row["request_bytes"] or 0
    if to.model is not None and (call.model is None or size > WHOLE_BODY_BYTES):
        call.decide(policy, rule, f"did not ask {to}", "its model cannot be changed")
        return
    call.decide(policy, rule, f"sent to {to}", reason)
    call.provider, call.model = to.provider, to.model or call.model
    call.becomes("rerouted", rule)
