"""What happens in the sample window beyond everyday traffic, planted so that reports can find it.

Owns the events: when, which feature, how strong, and what each changes. Pure: every question is
answered from the moment asked about. Refuses to change traffic itself; `plan` asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any

from sample_data.generator import features, models
from sample_data.generator.features import Feature
from sample_data.generator.models import Model
from sample_data.generator.rhythm import DAY, microseconds

PROMPT_V2_TOKENS = 660
GROWTH_PER_DAY = 0.03
BAD_ERROR_SHARE = 0.25
BAD_SLOWNESS = 4.0
RUNAWAY_ROUNDS = 260
MIGRATION = (0.25, 0.5, 0.75)
"""Share of the new model on its first days; all of it afterwards."""
CACHED_SHARE_AFTER = 0.08


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One planted event. `ends_at` None: what it changed stays so."""

    kind: str
    feature: str | None
    starts_at: datetime
    ends_at: datetime | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    starts: int = field(init=False)
    """As moments are asked about: in microseconds since the epoch."""
    ends: int | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "starts", microseconds(self.starts_at))
        ends = None if self.ends_at is None else microseconds(self.ends_at)
        object.__setattr__(self, "ends", ends)

    def has_begun(self, at: int) -> bool:
        return at >= self.starts

    def is_on(self, at: int) -> bool:
        return self.starts <= at and (self.ends is None or at < self.ends)


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """The events of a window, and what they mean at a moment."""

    first_day: datetime
    prompt_change: Event
    price_change: Event
    bad_day: Event
    runaway: Event
    migration: Event
    growth: Event
    cache_drop: Event

    def all(self) -> tuple[Event, ...]:
        return (
            self.prompt_change,
            self.migration,
            self.price_change,
            self.cache_drop,
            self.bad_day,
            self.runaway,
            self.growth,
        )

    def prompt_version(self, feature: Feature, at: int) -> str:
        for event in (self.prompt_change, self.cache_drop):
            if event.feature == feature.name and event.has_begun(at):
                return "v2"
        return "v1"

    def system_tokens(self, feature: Feature, version: str) -> int:
        is_changed = feature.name == self.prompt_change.feature and version == "v2"
        return PROMPT_V2_TOKENS if is_changed else feature.system_tokens

    def model(self, feature: Feature, at: int, draw: float) -> Model:
        """The model that a call uses; `draw` in [0, 1) decides during a migration."""
        if feature.name != self.migration.feature or not self.migration.has_begun(at):
            return feature.model
        day = (at - self.migration.starts) // DAY
        share = MIGRATION[day] if day < len(MIGRATION) else 1.0
        return models.GEMINI_FLASH if draw < share else feature.model

    def sessions(self, feature: Feature, day: datetime) -> float:
        """How many sessions a working day has by then; growing ones pass 1 in the middle."""
        if feature.name != self.growth.feature:
            return feature.sessions
        age = (day - self.first_day).days - self.growth.detail["days"] / 2
        return feature.sessions * float((1 + GROWTH_PER_DAY) ** age)

    def is_bad(self, model: Model, at: int) -> bool:
        """Whether the provider has its bad day."""
        return model.provider == self.bad_day.detail["provider"] and self.bad_day.is_on(at)

    def cache_works(self, feature: Feature, at: int) -> bool:
        return feature.name != self.cache_drop.feature or not self.cache_drop.has_begun(at)

    def named_at(self, feature: Feature, model: Model, at: int) -> str | None:
        """The event that makes this call what it is, for the ledger."""
        if self.is_bad(model, at):
            return self.bad_day.kind
        for event in (self.prompt_change, self.migration, self.price_change, self.cache_drop):
            if event.feature == feature.name and event.has_begun(at):
                return event.kind
        return self.growth.kind if feature.name == self.growth.feature else None


def planted(first_day: datetime, days: int, runaway_user: str) -> Events:
    """The events of a window; their days are those of a month, scaled to its length."""

    def on(day_of_month: int, hour: int = 0) -> datetime:
        day = min(days, max(1, round(day_of_month * days / 30))) - 1
        return first_day + timedelta(days=day, hours=hour)

    bad_from, runaway_from = _on_workday(on(21, 12), first_day), _on_workday(on(24, 9), first_day)
    return Events(
        first_day=first_day,
        prompt_change=Event(
            kind="prompt_change",
            feature=features.SEARCH.name,
            starts_at=on(12, 10),
            detail={"from": "v1", "to": "v2", "input_tokens_factor": 2.0},
        ),
        price_change=Event(
            kind="price_change",
            feature=features.TRANSLATE.name,
            starts_at=on(18),
            detail={"model": models.MISTRAL_SMALL.name, "provider": "mistral", "factor": 1.5},
        ),
        bad_day=Event(
            kind="bad_day",
            feature=None,
            starts_at=bad_from,
            ends_at=bad_from + timedelta(hours=6),
            detail={
                "provider": "anthropic",
                "latency_factor": BAD_SLOWNESS,
                "error_share": BAD_ERROR_SHARE,
            },
        ),
        runaway=Event(
            kind="runaway",
            feature=features.AGENT.name,
            starts_at=runaway_from,
            ends_at=datetime.combine(
                runaway_from + timedelta(days=1), time(), tzinfo=runaway_from.tzinfo
            ),
            detail={"user_id": runaway_user, "rounds": RUNAWAY_ROUNDS},
        ),
        migration=Event(
            kind="migration",
            feature=features.EXTRACT.name,
            starts_at=on(15),
            detail={
                "from": models.GEMINI_PRO.name,
                "to": models.GEMINI_FLASH.name,
                "share_by_day": [*MIGRATION, 1.0],
            },
        ),
        growth=Event(
            kind="growth",
            feature=features.CHAT.name,
            starts_at=first_day,
            detail={"per_day": GROWTH_PER_DAY, "days": days},
        ),
        cache_drop=Event(
            kind="cache_drop",
            feature=features.KNOWLEDGE.name,
            starts_at=on(20, 10),
            detail={"cached_share_after": CACHED_SHARE_AFTER},
        ),
    )


def _on_workday(at: datetime, first_day: datetime) -> datetime:
    """The Friday before, where the moment is on a weekend and the window reaches back so far."""
    friday = at - timedelta(days=max(0, at.weekday() - 4))
    return friday if friday >= first_day else at
