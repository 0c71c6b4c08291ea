"""The filters of a view: what the address bar says, as a selection of exchanges.

Owns the names of filters and what their values mean. The words are those of the command line.
Pure: the present moment is an argument.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from analytics.queries import TAG, Selection
from analytics.windows import Window, parse

PRESETS = ("24h", "7d", "30d", "90d", "all", "custom")
FIRST = "7d"
NAMES = ("feature", "model", "provider", "user", "session", "environment", "outcome", "status")
"""Filters with values of a dimension; `tag` has NAME=VALUE pairs."""
NONE = "(none)"
"""Stands for exchanges without the label."""
KEYS = ("last", "days", *NAMES, "tag", "errors")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a viewer chose; `days` counts where `last` is "custom"."""

    last: str = FIRST
    days: tuple[date, ...] = ()
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    errors: bool = False

    def selection(self, now: datetime) -> Selection:
        wanted: dict[str, Sequence[str | None]] = {
            name: [None if value == NONE else value for value in values]
            for name, values in self.values.items()
            if values
        }
        for text in self.tags:
            name, equals, value = text.partition("=")
            if name and equals:
                found = None if value == NONE else value
                wanted[f"{TAG}{name}"] = [*wanted.get(f"{TAG}{name}", ()), found]
        return Selection(
            window=self.window(now),
            values={name: wanted[name] for name in sorted(wanted)},
            errors_only=self.errors,
        )

    def window(self, now: datetime) -> Window:
        if self.last != "custom":
            return parse(self.last if self.last in PRESETS else FIRST, now)
        if not self.days:
            return parse(FIRST, now)
        first, last = self.days[0], self.days[-1]
        end = datetime.combine(last, time(), UTC) + timedelta(days=1)
        return Window(since=datetime.combine(first, time(), UTC), until=end)

    def active(self) -> Iterator[tuple[str, str]]:
        """The filters that hide something besides the window, as name and value."""
        for name, values in self.values.items():
            yield from ((name, value) for value in values)
        yield from (("tag", text) for text in self.tags)
        if self.errors:
            yield ("errors", "only")


def filters_of(state: Mapping[str, Any]) -> Filters:
    """The filters in a session's state, whatever is in it."""
    last = state.get("last")
    days = state.get("days") or ()
    return Filters(
        last=last if last in PRESETS else FIRST,
        days=tuple(each for each in days if isinstance(each, date)),
        values={name: texts for name in NAMES if (texts := _texts(state.get(name)))},
        tags=_texts(state.get("tag")),
        errors=bool(state.get("errors")),
    )


def _texts(value: Any) -> tuple[str, ...]:
    given = [value] if isinstance(value, str) else value
    return tuple(str(each) for each in given) if isinstance(given, list | tuple) else ()


def label(value: str | None) -> str:
    """A value of a dimension as a filter has it."""
    return NONE if value is None else value
