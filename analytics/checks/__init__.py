"""Checks: what may be wrong with an installation, and the mend; one file per place to look at.

Owns the shape of a finding. Each check gives findings and refuses to change anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]
"""`warn`: it works, and you should know; `fail`: something does not work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found. `mend` says what to do; it may have several lines."""

    state: State
    subject: str
    message: str
    mend: str | None = None


def ok(subject: str, message: str) -> Finding:
    return Finding(state="ok", subject=subject, message=message)


def warn(subject: str, message: str, mend: str | None = None) -> Finding:
    return Finding(state="warn", subject=subject, message=message, mend=mend)


def fail(subject: str, message: str, mend: str | None = None) -> Finding:
    return Finding(state="fail", subject=subject, message=message, mend=mend)
