"""The call as policies see it, the reply that they give back, and what a policy is.

Owns these shapes. A policy gets the call and the next step, and returns a reply of which nothing
has reached the client yet: until then it may try again, elsewhere, or not at all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from proxy.admission import Admitted
from proxy.calls.asked import Asked
from proxy.errors import AttemptFailed, NotSent, Refusal
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
    counts_as: int
    """The status that counts for rules: of a stream that begins with an error, the error's."""
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

    def when_ended(self, tell: Callable[[], None]) -> None:
        """`tell` is called once: when the last of the body is read, or with `close`. There is one
        of them for each reply."""

    async def read(self) -> bytes: ...
    def close(self) -> None: ...


class Open(NotSent):
    """A breaker lets nothing through for `seconds` more; `failure_rate` is how bad it was."""

    def __init__(self, message: str, seconds: float, failure_rate: float) -> None:
        super().__init__(message, "upstream_open")
        self.seconds = seconds
        self.failure_rate = failure_rate


def refusal_of(failure: AttemptFailed) -> Refusal | None:
    """What the client is told where the provider is not to blame, or was not asked."""
    if isinstance(failure, Open):
        seconds = max(1, math.ceil(failure.seconds))
        return Refusal(str(failure), 503, failure.error_type, retry_after=seconds)
    cause = failure.__cause__
    return cause if isinstance(cause, Refusal) else None


@dataclass(eq=False)
class Call:
    """One call on its way; policies pass on changed copies. It is what conditions ask about
    (`Known`): provider and model are those it goes to now. (Neither frozen nor slotted, because it
    is made and copied on the request path.)"""

    method: str
    admitted: Admitted
    body: Body
    raw: RawHeaders
    """The client's fields, also those that do not go on."""
    asked: Asked
    trail: Trail
    key: str | None
    pinned: frozenset[str]
    """What it cannot make up: the labels of its key, and the key (`key`) where anyone checks it."""
    cross_site: bool
    """Another site's page sent it: the proxy's credentials are not for it."""
    plain: bool
    """The answer must come without content coding."""
    entered: float
    """When policies got it first, in the clock of `time.perf_counter`."""
    open_record: Callable[[], Awaitable[None]]
    """Writes the beginning of the record, where that waits for a guardrail. Raises Refusal."""
    home: Admitted | None = field(default=None, init=False)
    """As the client sent it, where it was moved."""
    sent_model: str | None = field(default=None, init=False)
    """Sent instead of the one asked for."""
    key_number: int = field(default=0, init=False)
    """Which of the provider's keys is added, where it has several."""
    forced: bool = field(default=False, init=False)
    """A breaker lets it through, open or not."""
    deadline: float = field(default=math.inf, init=False)
    """In the clock of `time.monotonic`: no wait goes beyond."""
    budgets: Callable[[str], float] | None = field(default=None, init=False)
    """Of a budget of this name, the share that is used."""

    @property
    def provider(self) -> str:
        return self.admitted.provider

    upstream = provider

    @property
    def model(self) -> str | None:
        return self.sent_model or self.asked.model

    @property
    def operation(self) -> str | None:
        return self.asked.operation

    @property
    def stream(self) -> bool | None:
        return self.asked.stream

    @property
    def labels(self) -> Mapping[str, str]:
        return self.asked.labels

    @property
    def input_tokens(self) -> int | None:
        return self.asked.input_tokens

    @property
    def difficulty(self) -> Difficulty | None:
        return self.asked.difficulty

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    def budget_used(self, name: str) -> float:
        return 0.0 if self.budgets is None else self.budgets(name)

    def decide(self, policy: str, rule: str, action: str, reason: str) -> None:
        """Keep what a policy did, and why."""
        made = DecisionMade(policy=policy, rule=rule, action=action, reason=reason)
        self.trail.decisions.append(made)
        if rule not in self.trail.rules:
            self.trail.rules.append(rule)

    def but(self, **changes: object) -> Call:
        """A copy with these changes."""
        other = object.__new__(Call)
        other.__dict__.update(self.__dict__, **changes)
        return other

    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()


Next = Callable[[Call], Awaitable[Reply]]


class Policy(Protocol):
    """Behaviour around a call. Raises AttemptFailed, or Refusal to answer it here."""

    async def __call__(self, call: Call, next_step: Next) -> Reply: ...
