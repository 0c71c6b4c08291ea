"""Trust: whether a semantic rule has shown that its hits are right.

Owns the count of comparisons of what would have been served with what was answered, of the latest
ones. Refuses to compare.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from proxy.rules.settings import Semantic

LATEST = 200


@dataclass(slots=True)
class Trust:
    """The latest comparisons of one rule: whether each was a false hit."""

    false: deque[bool] = field(default_factory=lambda: deque(maxlen=LATEST))

    @property
    def share(self) -> float:
        """Of false hits."""
        return sum(self.false) / len(self.false) if self.false else 0.0

    def why_not(self, rule: Semantic) -> str | None:
        """Why the rule may not serve; None where it may."""
        if rule.mode == "shadow":
            return "the rule is in its shadow"
        needed = min(rule.samples, LATEST)
        if len(self.false) < needed:
            return f"{len(self.false)} of {needed} comparisons were made"
        if self.share > rule.false_hits:
            return f"{self.share:.0%} of {len(self.false)} hits were false"
        return None
