"""Sending a request: when it is answered, what is counted, what goes wrong.

Owns chance at the level of one exchange: timings, caches of the provider, errors, cut streams.
Appends what it plans to a list; refuses to know how a session goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from sample_data.generator.events import BAD_ERROR_SHARE, BAD_SLOWNESS, CACHED_SHARE_AFTER, Events
from sample_data.generator.features import Feature
from sample_data.generator.models import Model
from sample_data.generator.planned import (
    UNREMARKABLE,
    UNRULED,
    Answer,
    Ask,
    Counted,
    Fate,
    Flags,
    Planned,
    Ruled,
)
from sample_data.generator.rhythm import between

_MESSAGE_TOKENS = 4
TOOL_TOKENS = 420
_CACHE_BLOCK, _LEAST_CACHED = 128, 1024
_CACHE_SECONDS = {"automatic": 600, "marked": 300, "hour": 3600}
_ERROR_SHARE = 0.012
_RETRY_SHARE = 0.7
_TIMEOUT_SECONDS = 600.0
_LEFT_EARLY_SHARE, _TIMEOUT_SHARE = 0.003, 0.0008
_LEFT_MIDWAY_SHARE, _CUT_OFF_SHARE = 0.014, 0.005
_FINE = Fate()
_CUT_OFF = "the provider closed the connection before its answer was whole"
_SILENT = "the provider was silent for too long"

# (status, the provider's word, its message), the first for too many requests.
_FAILURES = {
    "openai": (
        (429, "rate_limit_exceeded", "Rate limit reached for requests. Please try again."),
        (500, "server_error", "The server had an error while processing your request."),
        (503, "server_error", "The engine is currently overloaded. Please try again later."),
    ),
    "anthropic": (
        (429, "rate_limit_error", "This request would exceed your rate limit."),
        (529, "overloaded_error", "Overloaded"),
        (500, "api_error", "Internal server error"),
    ),
    "gemini": (
        (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
        (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    ),
}
_FAILURES["embeddings"] = _FAILURES["openai"]


@dataclass(slots=True)
class Warmth:
    """When a feature's prompt was last in the provider's cache, in microseconds."""

    last_used: int = -(10**18)
    """Long ago."""

    def within(self, seconds: int, at: int) -> bool:
        return 0 <= at - self.last_used <= seconds * 1_000_000


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of a request: its last exchange, and when that was over."""

    exchange_id: str
    ended_at: int
    answered: bool


@dataclass(frozen=True, slots=True)
class Sender:
    """Plans the exchanges of one feature on one day."""

    chance: Random
    feature: Feature
    events: Events
    warmth: Warmth
    made: list[Planned]

    def send(
        self,
        ask: Ask,
        answer: Answer,
        at: int,
        *,
        kept: int = 0,
        flags: Flags | None = None,
        ruled: Ruled = UNRULED,
    ) -> Sent:
        """Send, and perhaps again after an error. `kept`: tokens of the prompt that went to the
        provider a moment ago, beyond those that every call has in common."""
        flags = flags or UNREMARKABLE
        if flags.event is None:
            event = self.events.named_at(self.feature, ask.model, at)
            flags = flags._replace(event=event) if event else flags
        for retry in range(3):
            sent = self._once(ask, answer, at, kept, flags, ruled)
            if sent.answered or self.chance.random() > _RETRY_SHARE:
                break
            at = sent.ended_at + round((0.5 * 2**retry + self.chance.random()) * 1e6)
            flags = flags._replace(retry_of=flags.retry_of or sent.exchange_id)
        return sent

    def _once(
        self, ask: Ask, answer: Answer, at: int, kept: int, flags: Flags, ruled: Ruled
    ) -> Sent:
        is_bad = self.events.is_bad(ask.model, at)
        counted = self._count(ask, answer, at, kept)
        model = ruled.model or ask.model
        lead, talk = self._timing(model, answer, counted, BAD_SLOWNESS if is_bad else 1.0)
        fate = self._fate(ask, answer, BAD_ERROR_SHARE if is_bad else _ERROR_SHARE)
        overhead = round(self.chance.uniform(0.0003, 0.0012), 6)
        first, whole = _ends(fate, answer, lead, talk, overhead, streamed=ask.feature.stream)
        if first is None:
            whole = _TIMEOUT_SECONDS + overhead if fate.outcome == "timed_out" else lead
        if ruled.if_whole is not None and fate.outcome == "completed":
            ruled = ruled._replace(decisions=(*ruled.decisions, ruled.if_whole))
        planned = Planned(
            exchange_id=exchange_id(self.chance, at),
            started_at=at,
            ask=ask,
            answer=answer,
            fate=fate,
            counted=counted,
            duration_seconds=round(whole, 6),
            time_to_first_chunk_seconds=None if first is None else round(first, 6),
            overhead_seconds=overhead,
            flags=flags,
            ruled=ruled,
        )
        self.made.append(planned)
        if fate.status == 200:
            self.warmth.last_used = max(at, self.warmth.last_used)
        ended = at + round(whole * 1e6)
        return Sent(planned.exchange_id, ended, answered=fate.outcome == "completed")

    def _count(self, ask: Ask, answer: Answer, at: int, kept: int) -> Counted:
        model, feature = ask.model, ask.feature
        total = ask.text_tokens + _MESSAGE_TOKENS * (len(ask.messages) + 1)
        total += TOOL_TOKENS if feature.tools else 0
        if model.speaks == "embeddings":
            return Counted(input=ask.text_tokens, output=0)
        output = answer.tokens + answer.reasoning_tokens
        reasoning = answer.reasoning_tokens if model.reasons else None
        if model.caching == "automatic":
            read = self._automatic(ask, at, kept)
            return Counted(total, output, read, reasoning=reasoning or 0)
        if model.caching == "marked":
            return self._marked(ask, at, kept, Counted(total, output))
        return Counted(total, output, reasoning=reasoning)

    def _automatic(self, ask: Ask, at: int, kept: int) -> int:
        """Cached by blocks, from the beginning on, where there is enough that stays the same."""
        warm = self.warmth.within(_CACHE_SECONDS["automatic"], at)
        shared = max(kept, ask.system.tokens if warm else 0)
        if ask.feature.stamped or shared < _LEAST_CACHED:
            return 0
        return shared // _CACHE_BLOCK * _CACHE_BLOCK

    def _marked(self, ask: Ask, at: int, kept: int, counted: Counted) -> Counted:
        """Cached up to the marks of the request: its system prompt, or all of an agent's."""
        common = ask.system.tokens + (TOOL_TOKENS if ask.feature.tools else 0)
        assert counted.input is not None
        if ask.feature.keeps_hour:
            warm = self.warmth.within(_CACHE_SECONDS["hour"], at)
            if not self.events.cache_works(ask.feature, at):
                warm = self.chance.random() < CACHED_SHARE_AFTER
            written = 0 if warm else common
            return counted._replace(
                cache_read=common - written, cache_write=written, cache_write_1h=written
            )
        if not ask.feature.tools:
            return counted._replace(cache_read=0, cache_write=0, cache_write_1h=0)
        warm = self.warmth.within(_CACHE_SECONDS["marked"], at)
        read = kept or (common if warm else 0)
        written = counted.input - read - _MESSAGE_TOKENS
        return counted._replace(cache_read=read, cache_write=written, cache_write_1h=0)

    def _timing(
        self, model: Model, answer: Answer, counted: Counted, slowness: float
    ) -> tuple[float, float]:
        """Seconds until the answer begins, and for saying it."""
        fresh = (counted.input or 0) - (counted.cache_read or 0)
        lead = model.lead_seconds * self.chance.lognormvariate(0, 0.35) + fresh * 2e-5
        lead += answer.reasoning_tokens / (2.5 * model.tokens_per_second)
        talk = answer.tokens / (model.tokens_per_second * self.chance.uniform(0.75, 1.25))
        return lead * slowness, talk * slowness

    def _fate(self, ask: Ask, answer: Answer, share: float) -> Fate:
        """`share` of the requests fail at the provider."""
        draw = self.chance.random()
        if draw < share:
            failures = _FAILURES[ask.model.speaks]
            status, word, message = failures[min(int(draw / share * 3), len(failures) - 1)]
            return Fate("provider_error", status, word, message)
        draw -= share
        if draw < _TIMEOUT_SHARE:
            return Fate("timed_out", None, "read_timeout", _SILENT)
        if not ask.feature.stream:
            left = draw < _LEFT_EARLY_SHARE
            return Fate("client_disconnected", None) if left else _FINE
        draw -= _TIMEOUT_SHARE
        seen = between(self.chance, 1, len(answer.pieces))
        if draw < _CUT_OFF_SHARE:
            return Fate("upstream_failed", 200, "cut_off", _CUT_OFF, seen)
        if draw < _CUT_OFF_SHARE + _LEFT_MIDWAY_SHARE:
            return Fate("client_disconnected", 200, pieces_seen=seen)
        return _FINE


def _ends(
    fate: Fate, answer: Answer, lead: float, talk: float, overhead: float, *, streamed: bool
) -> tuple[float | None, float]:
    """When the first byte came, None where none did, and when all was over."""
    if fate.status is None:
        return None, lead
    if fate.status >= 400:
        return overhead + lead / 3, overhead + lead / 3 + 0.0004
    if not streamed:
        return overhead + lead + talk, overhead + lead + talk + 0.0006
    if fate.pieces_seen is not None:
        talk *= fate.pieces_seen / max(1, len(answer.pieces))
    return overhead + lead, overhead + lead + talk + 0.0006


def exchange_id(chance: Random, at: int) -> str:
    """A UUIDv7 of that moment."""
    noise = chance.getrandbits(74)
    value = at // 1000 << 80 | 7 << 76 | noise >> 62 << 64 | 2 << 62 | noise & (1 << 62) - 1
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
