"""What an answer says about trying again: Retry-After and its kin.

Owns reading them (RFC 9110, section 10.2.3: seconds or a date; `retry-after-ms` and
`x-should-retry` as OpenAI's and Anthropic's SDKs read them). Pure. Nonsense is no answer.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from proxy.headers import RawHeaders, kind, text


def seconds(fields: RawHeaders, now: datetime) -> float | None:
    """For how long the provider asks to be left alone; None where it does not say."""
    said = {kind(name).name: text(value).strip() for name, value in fields}
    milliseconds = _number(said.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = said.get("retry-after")
    plain = _number(value)
    return plain if plain is not None or value is None else _until(value, now)


def verdict(fields: RawHeaders) -> bool | None:
    """Whether the provider itself says that trying again makes sense."""
    for name, value in fields:
        if kind(name).name == "x-should-retry":
            return {b"true": True, b"false": False}.get(value.strip().lower())
    return None


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if number >= 0 and math.isfinite(number) else None


def _until(value: str, now: datetime) -> float | None:
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return max(0.0, (at - now).total_seconds())
