"""What passes from the journal to the store: an exchange as found, and the rows it becomes.

Owns these two shapes only.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.exchange import Attempt, Content, Decision, Exchange
from proxy.journal import Closed, Opened

INCOMPLETE = "its part of the journal is missing"
"""The fault of an exchange of which some frames are lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unposted:
    """One exchange as found in the journal. Without `opened` its beginning is lost, without
    `closed` it was interrupted; `orphan`: it may have been posted before."""

    exchange_id: str
    opened: Opened | None
    closed: Closed | None
    request: bytes = b""
    response: bytes = b""
    orphan: bool = False
    fault: str | None = None
    """What of it could not be read in the journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """The rows of one exchange."""

    exchange: Exchange
    attempts: tuple[Attempt, ...] = ()
    decisions: tuple[Decision, ...] = ()
    content: Content | None = None
    response_id: str | None = None
    """Of an answer that can be fetched again, where this exchange may bear what it used."""
    fetched: bool = False
    """This exchange asked for an answer that another one had made."""
