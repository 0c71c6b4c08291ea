"""Whether a provider may have served a call of which no answer came, and so bills it.

Owns that judgement, from the attempts in the record. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from proxy.journal.entries import AttemptMade

CANCELLED = "cancelled"
NOT_CONNECTED = "not_connected"
"""It ended before there was a connection."""
NOT_SERVED = "not_served"
"""The error type of an exchange whose client left before anybody may have served it."""
_NOTHING_SENT = frozenset(
    {NOT_CONNECTED, "connect_timeout", "connect_failed", "dns_failed", "bad_tls", "upstream_open"}
)


def may_be_billed(attempts: Iterable[AttemptMade]) -> bool:
    """Whether one of them was sent, and no error answered it."""
    return any(
        (made.status is None or made.status < 300) and made.error_type not in _NOTHING_SENT
        for made in attempts
    )
