"""The call as policies see it, the reply that they give back, and what a policy is.

Owns these shapes. A policy gets the call and the next step, and returns a reply of which nothing
has reached the client yet: until then it may try again, elsewhere, or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from proxy.admission import Admitted
from proxy.calls.asked import Asked
from proxy.errors import NotSent
from proxy.headers import RawHeaders
from proxy.journal.entries import AttemptMade, DecisionMade
from proxy.request_body import Body
from proxy.rules.difficulty import Difficulty


class Trail(Protocol):
    """Where attempts and decisions are kept; the capture is one."""

    attempts: list[AttemptMade]
    decisions: list[DecisionMade]
    rules: list[str]
    upstream: str | None
    sent_model: str | None

    @property
    def exchange_id(self) -> str: ...

    def changed(self, body: bytes) -> None:
        """The request's body goes upstream, and into the record, as this."""

    def goes_to(self, upstream: str, model: str | None) -> None:
        """The call is served there, with this model where it is not the one asked for."""

    def comes_from_cache(self, hit: str, upstream: str | None, model: str | None) -> None:
        """Nobody is asked: it has the answer that this upstream gave earlier."""


class Reply(Protocol):
    """An answer whose first piece is there, or which has failed by then. End with `close()`."""

    status: int
    reason: str
    headers: RawHeaders
    upgraded: bool
    cached: bool
    """Nobody was asked."""

    @property
    def origin(self) -> Reply:
        """The innermost reply."""

    @property
    def begun(self) -> bool:
        """Whether anything of the body is there."""

    @property
    def complete(self) -> bool:
        """Whether the whole body was read."""

    @property
    def first(self) -> bytes:
        """The first piece of the body, which `read` will give; b"" where it was given."""

    async def read(self) -> bytes: ...
    def close(self) -> None: ...


class Open(NotSent):
    """A breaker lets nothing through for `seconds` more; `failure_rate` is how bad it was."""

    def __init__(self, message: str, seconds: float, failure_rate: float) -> None:
        super().__init__(message, "upstream_open")
        self.seconds = seconds
        self.failure_rate = failure_rate


async def _is_open() -> None:
    """The record was opened before."""


class Call(NamedTuple):
    """One call on its way; policies pass on changed copies. (A tuple, because a dozen are made of
    one call, and frozen dataclasses are slow to make.)"""

    method: str
    admitted: Admitted
    body: Body
    raw: RawHeaders
    """The client's fields, also those that do not go on."""
    asked: Asked
    trail: Trail
    key: str | None = None
    pinned: frozenset[str] = frozenset()
    """What it cannot make up: the labels of its key, and the key (`key`) where anyone checks it."""
    home: Admitted | None = None
    """As the client sent it, where it was moved."""
    model: str | None = None
    """Sent instead of the one asked for."""
    key_number: int = 0
    """Which of the provider's keys is added, where it has several."""
    cross_site: bool = False
    """Another site's page sent it: the proxy's credentials are not for it."""
    plain: bool = False
    """The answer must come without content coding."""
    forced: bool = False
    """A breaker lets it through, open or not."""
    deadline: float = float("inf")
    """In the clock of `time.monotonic`: no wait goes beyond."""
    budgets: Callable[[str], float] = lambda _: 0.0
    """Of a budget of this name, the share that is used."""
    open_record: Callable[[], Awaitable[None]] = _is_open
    """Writes the beginning of the record, where that waits for a guardrail. Raises Refusal."""
    entered: float = 0.0
    """When policies got it first, in the clock of `time.perf_counter`."""

    @property
    def upstream(self) -> str:
        return self.admitted.provider

    def decide(self, policy: str, rule: str, action: str, reason: str) -> None:
        """Keep what a policy did, and why."""
        made = DecisionMade(policy=policy, rule=rule, action=action, reason=reason)
        self.trail.decisions.append(made)
        if rule not in self.trail.rules:
            self.trail.rules.append(rule)

    def but(self, **changes: object) -> Call:
        return self._replace(**changes)  # type: ignore[arg-type]

    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()


@dataclass(slots=True)
class KnownOfCall:
    """A call as conditions ask about it: provider and model are those it goes to now."""

    call: Call

    @property
    def provider(self) -> str:
        return self.call.upstream

    @property
    def model(self) -> str | None:
        return self.call.model or self.call.asked.model

    @property
    def operation(self) -> str | None:
        return self.call.asked.operation

    @property
    def stream(self) -> bool | None:
        return self.call.asked.stream

    @property
    def labels(self) -> Mapping[str, str]:
        return self.call.asked.labels

    @property
    def key(self) -> str | None:
        return self.call.key

    @property
    def input_tokens(self) -> int | None:
        return self.call.asked.input_tokens

    @property
    def difficulty(self) -> Difficulty | None:
        return self.call.asked.difficulty

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    def budget_used(self, name: str) -> float:
        return self.call.budgets(name)


Next = Callable[[Call], Awaitable[Reply]]


class Policy(Protocol):
    """Behaviour around a call. Raises AttemptFailed, or Refusal to answer it here."""

    async def __call__(self, call: Call, next_step: Next) -> Reply: ...
