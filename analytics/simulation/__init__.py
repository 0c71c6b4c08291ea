"""Rules on recorded traffic: what they would have done to it, and what that would have cost.

Owns the replay: exchanges begin and end in the order in which they did, by a clock that is theirs,
and meet the rules in the order of the proxy's chain. What conditions, limits, budgets, routes,
shares, retries, fallbacks and circuits decide is asked of the proxy's own code; nothing of it is
written a second time here. Refuses to guess what nobody can know; what is supposed instead is said
in `SUPPOSED`.

`stages/` has a file for each kind of rule, replay.py the order.
"""

from __future__ import annotations

SUPPOSED = (
    "Another model gives as many tokens, reasoning and cached ones included, in the same time; "
    "only its price differs.",
    "Whoever is refused does not try again, and the other calls of its session come all the same.",
    "What was asked in the window is asked again, no more and no less; budgets and windows know "
    "what was used before.",
)
"""What a simulation supposes, in sentences."""
