"""`[[rules]]`: one table each, with a name, conditions and exactly one thing to do.

Owns the kinds of rules, their defaults and their bounds. What one rule alone cannot tell (names
used twice, rules that never act) is in faults.py.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from proxy.rules.conditions import When, Zone
from proxy.rules.guarding import Guardrail
from proxy.sections import Seconds, Section, Share, Statuses, Usd, as_float, listed


class Retry(Section):
    """Try again where that is safe and the first byte has not reached the client."""

    attempts: Annotated[int, Field(ge=2, le=10)] = 3
    """Tries in all."""
    on: Statuses = (408, 429, 500, 502, 503, 504, 529)
    first_wait_seconds: Seconds = 0.5
    """Doubles with each try; the wait is drawn evenly from nought to there (full jitter)."""
    longest_wait_seconds: Seconds = 20.0
    """Caps each wait, a Retry-After too."""
    share: Share = 0.2
    """Retries of an upstream, as a share of its calls, beyond ten in reserve."""
    unsure: bool = False
    """Also where the request may have been served, and billed, though no answer came."""


class Breaker(Section):
    """Ask an upstream no more for a while once too many of its answers are failures."""

    failure_rate: Annotated[Share, Field(gt=0)] = 0.5
    minimum: Annotated[int, Field(ge=1)] = 20
    """Fewer calls in the window say nothing."""
    window_seconds: Annotated[Seconds, Field(gt=0)] = 30.0
    open_seconds: Annotated[Seconds, Field(gt=0)] = 15.0
    """Then probes are let through; a longer Retry-After is respected, up to ten times this."""
    probes: Annotated[int, Field(ge=1)] = 1
    """At the same time; as many must succeed before it closes."""
    on: Statuses = (500, 502, 503, 504, 529)


Weight = Annotated[float, BeforeValidator(as_float), Field(gt=0)]
Sticky = Literal["session", "user", "key", "none"]


def _destination(text: str) -> str:
    provider, mark, model = text.partition("/")
    if not provider or (mark and not model):
        raise ValueError("must be provider/model, or a provider alone for the model asked for")
    return text


To = Annotated[str, AfterValidator(_destination)]


class Fallback(Section):
    """Elsewhere, in this order, where one upstream fails. The model is rewritten."""

    to: Annotated[tuple[To, ...], BeforeValidator(listed), Field(min_length=1)]
    on: Statuses = (408, 429, 500, 502, 503, 504, 529)
    deadline_seconds: Annotated[Seconds, Field(gt=0)] | None = None
    """For the whole chain, up to the first piece of an answer."""
    patience_seconds: Annotated[Seconds, Field(gt=0)] | None = None
    """For each of its upstreams, retries included."""
    unsure: bool = True
    """Also where the first may have served it, and bills it, though no answer came."""


class Arm(Section):
    """One of several destinations."""

    to: To
    weight: Weight = 1.0


class Balance(Section):
    """To one of several destinations."""

    across: Annotated[tuple[Arm, ...], Field(strict=False, min_length=2)]
    by: Literal["weight", "latency"] = "weight"
    sticky: Sticky = "session"
    """Whose calls stay together, so that the provider's cache serves them; without that label
    each call is drawn by itself."""


class Route(Section):
    """To another destination."""

    to: To
    sticky: Literal["session", "none"] = "session"
    """Where conditions look at the prompt, the first call of a session decides for all of it."""
    if_cheaper: bool | None = None
    """Only where the call costs less there, what the provider's cache holds of its session counted.
    Left out: so where difficulty is a condition."""


def _with_model(to: str) -> str:
    if "/" not in to:
        raise ValueError("must be provider/model, like openai/text-embedding-3-small")
    return to


class Semantic(Section):
    """Answers also a question that says in other words what was asked before: only the last words
    of the user may differ."""

    embed: Annotated[To, AfterValidator(_with_model)]
    """Where words become vectors: a provider that has `/embeddings` in OpenAI's form."""
    threshold: Share = 0.95
    """Questions at least so close (cosine of their vectors) mean the same."""
    mode: Literal["shadow", "serve"] = "shadow"
    """In the shadow nothing is served; what would have been is compared with the real answer."""
    alike: Share = 0.85
    """Answers at least so close say the same; else it would have been a false hit."""
    samples: Annotated[int, Field(ge=1)] = 20
    false_hits: Share = 0.05
    """It serves once so many comparisons found no larger share of false hits."""
    verify_share: Share = 0.05
    """While it serves, so many hits are asked for all the same, and compared."""
    patience_seconds: Annotated[Seconds, Field(gt=0)] = 1.0
    """For the vector, before the call goes on without."""


class Cache(Section):
    """Answer what was asked before with the answer that was given then."""

    ttl_seconds: Annotated[Seconds, Field(gt=0)] = 3600.0
    scope: Literal["key", "user", "all"] = "key"
    """Who shares answers: the calls of a key, of a user with that key, or all."""
    sampled: bool = True
    """Also what is drawn at a temperature above 0, or at none that is said."""
    vary: Annotated[tuple[str, ...], BeforeValidator(listed)] = ()
    """Further header fields on which answers hang."""
    wait_seconds: Annotated[Seconds, Field(ge=0, le=60)] = 5.0
    """For the answer to an equal call under way, counted from when that one went; 0: not at all."""
    max_entries: Annotated[int, Field(ge=1)] = 10_000
    max_bytes: Annotated[int, Field(ge=1024)] = 64 << 20
    semantic: Semantic | None = None


Per = Literal["total", "key", "user", "feature", "model"]
"""Whose calls are counted together."""


class Limit(Section):
    """So many requests or tokens in a window, or calls at a time."""

    per: Per = "total"
    requests: Annotated[int, Field(ge=1)] | None = None
    tokens: Annotated[int, Field(ge=1)] | None = None
    concurrent: Annotated[int, Field(ge=1)] | None = None
    window_seconds: Annotated[Seconds, Field(ge=0.1)] = 60.0
    expected_output_tokens: Annotated[int, Field(ge=0)] = 500
    """Held for a call that does not bound its answer itself."""

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.requests is None and self.tokens is None and self.concurrent is None:
            raise ValueError("it bounds nothing; give it requests, tokens or concurrent")
        return self


class Budget(Section):
    """So much money in a calendar period."""

    usd: Annotated[Usd, Field(gt=0)]
    per: Per = "total"
    period: Literal["day", "week", "month"] = "month"
    zone: Zone = "UTC"
    soft: Share = 0.8
    """From this share on the answer and the record say so."""
    hard: bool = True
    """Calls that would go beyond are refused."""
    unpriced: Literal["pass", "refuse"] = "pass"
    """What becomes of calls whose cost nobody knows: models of one's own have no price, and new
    ones not yet. The record says where one was not counted."""
    expected_output_tokens: Annotated[int, Field(ge=0)] = 500


KINDS = (
    "guardrail",
    "limit",
    "budget",
    "cache",
    "route",
    "balance",
    "fallback",
    "retry",
    "breaker",
)
"""What rules can do, each the name of a key, a class here and a policy."""


class Rule(Section):
    """One rule."""

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w.:-]+$")]
    enabled: bool = True
    when: When = When()
    guardrail: Guardrail | None = None
    limit: Limit | None = None
    budget: Budget | None = None
    cache: Cache | None = None
    route: Route | None = None
    balance: Balance | None = None
    fallback: Fallback | None = None
    retry: Retry | None = None
    breaker: Breaker | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            does = f"does {len(kinds)} things ({', '.join(kinds)})" if kinds else "does nothing"
            raise ValueError(f"it {does}; give it exactly one of {', '.join(KINDS)}")
        return self

    @property
    def kind(self) -> str:
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    def destinations(self) -> tuple[str, ...]:
        """Where it may send calls, `provider/model` each."""
        if self.cache is not None and self.cache.semantic is not None:
            return (self.cache.semantic.embed,)
        if self.fallback is not None:
            return self.fallback.to
        if self.balance is not None:
            return tuple(arm.to for arm in self.balance.across)
        return (self.route.to,) if self.route is not None else ()
