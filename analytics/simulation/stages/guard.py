"""Guardrails on recorded requests: what would have been refused, masked or noted.

Owns putting the screening's findings into words. What a rule bounds and what it finds, the proxy's
screening says. Only requests whose bodies are stored can be looked through; answers, and what a
webhook would have said, show only live. A request that a guardrail has masked already is looked
through as it was recorded.
"""

from __future__ import annotations

from hashlib import blake2b

from analytics.simulation.left_out import NOT_STORED, of_guardrail
from analytics.simulation.recorded import Replayed
from analytics.simulation.stages import Used
from proxy.limits.accounts import Now
from proxy.rules.choosing import Rules
from proxy.rules.guarding import Guardrail
from proxy.screening.bodies import screened
from proxy.screening.leaves import LABELS
from proxy.screening.masks import Masks
from proxy.screening.plan import Plan
from proxy.screening.requests import reason_against

_EFFECTS = {"refuse": "blocked", "mask": "masked", "note": "noted"}


class GuardStage:
    """Looks through requests."""

    def __init__(self, rules: Rules[Guardrail]) -> None:
        self._rules = rules
        self._plans: dict[tuple[str, ...], Plan] = {}
        self._masks = Masks(lambda value: blake2b(value.encode(), digest_size=4).hexdigest())

    def past(self, call: Replayed, used: Used) -> None:
        """Guardrails remember nothing."""

    def begin(self, call: Replayed) -> None:
        plan = self._plan(call)
        size = call.row["request_bytes"]
        for guard in plan.guards:
            reason = reason_against(guard.does, call.model, call.asked, size)
            if reason is not None:
                call.decide("guardrail", guard.name, "refused", reason.words)
                call.becomes("blocked", guard.name, done=True)
                return
        if plan.request.screen and call.asked.body is not None:
            self._look(call, plan)
        if not call.done:
            call.left_out += [(g.name, part) for g in plan.guards for part in of_guardrail(g.does)]
        if call.asked.body is None and size:
            call.left_out += [(g.name, NOT_STORED) for g in plan.guards if _reads(g.does)]

    def end(self, call: Replayed, used: Used, now: Now) -> None:
        """Nothing is held."""

    def _plan(self, call: Replayed) -> Plan:
        guards = tuple(self._rules.all(call))
        names = tuple(guard.name for guard in guards)
        if names not in self._plans:
            self._plans[names] = Plan(guards)
        return self._plans[names]

    def _look(self, call: Replayed, plan: Plan) -> None:
        found = screened(call.asked.plain, plan.request.screen, self._masks, LABELS)
        for wanted, values in found.seen.items():
            effect = _EFFECTS[wanted.action]
            words = f"request: {wanted.name} {len(values)}"
            call.decide("guardrail", wanted.rule, effect, words)
            call.becomes(effect, wanted.rule, done=wanted is found.refused)


def _reads(rule: Guardrail) -> bool:
    """Whether it looks into the bodies of requests."""
    most = rule.at_most
    counts = most is not None and (most.output_tokens, most.messages) != (None, None)
    looks = bool(rule.actions() or rule.patterns or rule.tools is not None or counts)
    return looks and "request" in rule.on
