"""What each kind of rule would have done, a file each; replay.py lists them in order.

A stage meets a call when it begins (`begin`) and when it ends (`end`), and what was before the
window (`past`), which it only counts. It decides nothing itself: the proxy's pure parts do.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from analytics.simulation.recorded import Replayed
from proxy.limits.accounts import Now


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What a call used, as far as it is known."""

    tokens: int
    cost_usd: Decimal | None


class Stage(Protocol):
    def past(self, call: Replayed, used: Used) -> None:
        """Count a call of before the window."""

    def begin(self, call: Replayed) -> None: ...
    def end(self, call: Replayed, used: Used, now: Now) -> None: ...
