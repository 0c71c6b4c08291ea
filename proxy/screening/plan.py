"""The plan: what the guardrails that concern a call want together.

Owns putting several rules into one look at the request and one at the answer. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from proxy.rules.choosing import Ready
from proxy.rules.guarding import Guardrail, Side, Webhook
from proxy.screening.detectors import expression
from proxy.screening.screen import Screen, Wanted
from proxy.screening.spans import Find

Guard = Ready[Guardrail]


class Plan:
    """Made once for each set of rules that concern a call together."""

    def __init__(self, guards: Sequence[Guard]) -> None:
        self.guards = tuple(guards)
        self.request = Looks(guards, "request")
        self.answer = Looks(guards, "answer")
        self.observes = all(g.does.stream == "observe" for g in _on(guards, "answer"))
        """Streams pass, and what is found in them is noted."""


class Looks:
    """What is looked for on one side."""

    def __init__(self, guards: Sequence[Guard], side: Side) -> None:
        concerned = list(_on(guards, side))
        self.screen = Screen(wanted for guard in concerned for wanted in _wanted(guard, side))
        self.webhooks: list[tuple[str, Webhook]] = [
            (guard.name, webhook)
            for guard in concerned
            if (webhook := guard.does.webhook) is not None
        ]
        strict = [
            guard.name for guard in concerned if guard.does.unread == "refuse" and _acts(guard)
        ]
        self.rules = tuple(guard.name for guard in concerned if _looks(guard))
        self.strict = strict[0] if strict else None
        """The rule by which what cannot be looked through is refused."""

    def __bool__(self) -> bool:
        return bool(self.screen or self.webhooks)

    @property
    def acts(self) -> bool:
        """It may change or end something."""
        return self.screen.acts or bool(self.webhooks)


def _on(guards: Sequence[Guard], side: Side) -> Iterator[Guard]:
    return (guard for guard in guards if side in guard.does.on)


def _looks(guard: Guard) -> bool:
    rule = guard.does
    return bool(rule.actions() or rule.patterns or rule.webhook)


def _acts(guard: Guard) -> bool:
    rule = guard.does
    actions = {*rule.actions().values(), *(pattern.action for pattern in rule.patterns)}
    return rule.webhook is not None or bool(actions & {"mask", "refuse"})


def _wanted(guard: Guard, side: Side) -> Iterator[Wanted]:
    for name, action in guard.does.actions().items():
        if name != "injection" or side == "request":
            yield Wanted(name, action, guard.name)
    for pattern in guard.does.patterns:
        found = _finder(pattern.pattern, case=pattern.case)
        yield Wanted(pattern.name, pattern.action, guard.name, found)


def _finder(text: str, *, case: bool) -> Find:
    return partial(_places, expression(text, case=case))


def _places(ready: object, text: str) -> Iterator[tuple[int, int]]:
    found = ready.finditer(text)  # type: ignore[attr-defined]
    return (span for match in found if (span := match.span())[0] < span[1])
