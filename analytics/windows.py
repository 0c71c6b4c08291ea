"""Windows: the spans of time that people write, as moments.

Owns what `7d`, `today` or `2026-11-01..2026-11-07` mean. A day is a UTC day, as in the store's
views. Pure: the present moment is an argument.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

_BACK = re.compile(r"(\d{1,6})\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_ONE_DAY = timedelta(days=1)
EXAMPLES = "7d, 24h, 30m, today, yesterday, 2026-11-01, 2026-11-01..2026-11-07, all"


class BadWindow(ValueError):
    """The text is no window; the message says which texts are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From `since` on and before `until`, both in UTC; None where it has no such bound."""

    since: datetime | None = None
    until: datetime | None = None

    def __str__(self) -> str:
        if self.since is None and self.until is None:
            return "all time"
        parts = []
        if self.since is not None:
            parts.append(f"since {_shown(self.since)}")
        if self.until is not None:
            parts.append(f"before {_shown(self.until)}")
        return f"{' and '.join(parts)} UTC"


def parse(text: str, now: datetime) -> Window:
    """The window that a text means.

    `7d` reaches from seven days ago on and has no end. A range `A..B` may lack either side; where
    B is a day, that day is included. Raises BadWindow.
    """
    text = text.strip()
    if text == "all":
        return Window()
    today = now.astimezone(UTC).date()
    if text == "today":
        return _day(today)
    if text == "yesterday":
        return _day(today - _ONE_DAY)
    if (back := _ago(text, now)) is not None:
        return Window(since=back)
    start, dots, end = text.partition("..")
    if not dots:
        return _day(_date(text))
    window = Window(
        since=moment(start, now) if start.strip() else None,
        until=moment(end, now, end=True) if end.strip() else None,
    )
    if window.since and window.until and window.since >= window.until:
        raise BadWindow(f"{text!r} ends before it begins. Swap the two.")
    return window


def moment(text: str, now: datetime, *, end: bool = False) -> datetime:
    """A moment: a day, a time (UTC unless it says otherwise), or how long ago (`7d`).

    With `end`, a day means its end. Raises BadWindow.
    """
    text = text.strip()
    if (back := _ago(text, now)) is not None:
        return back
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return _time(text)
    try:
        return _midnight(day + _ONE_DAY if end else day)
    except OverflowError:
        raise _bad(text) from None


def _ago(text: str, now: datetime) -> datetime | None:
    match = _BACK.fullmatch(text)
    if match is None:
        return None
    try:
        return now.astimezone(UTC) - timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError:
        raise _bad(text) from None


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _bad(text) from None


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _bad(text) from None


def _day(day: date) -> Window:
    try:
        return Window(since=_midnight(day), until=_midnight(day + _ONE_DAY))
    except OverflowError:
        raise _bad(str(day)) from None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S" if moment.second else "%Y-%m-%d %H:%M")


def _bad(text: str) -> BadWindow:
    return BadWindow(f"{text!r} is no span of time. Write one like: {EXAMPLES}.")
