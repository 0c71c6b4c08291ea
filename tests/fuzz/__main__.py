"""All readers against hostile copies: python -m tests.fuzz --cases 1000000

Not part of the test run. Hypothesis writes the answers and the damage; each reading of a copy is
a case. Prints what broke, with the smallest example that Hypothesis found, and ends with 1 if
anything did.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from tests.fuzz import copies, promises

_EXAMPLES = 1_000
"""So many a round: Hypothesis remembers what it has tried, and its memory is bounded so."""


def main() -> int:
    parser = argparse.ArgumentParser(description="All readers against hostile copies.")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=1200.0, help="at most so long")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    began = time.monotonic()
    counted = promises.Counted()
    rounds = 0
    while counted.cases < args.cases and time.monotonic() - began < args.seconds:
        for strategy, promise in promises.ALL:
            if not _holds(counted, args.seed + rounds, strategy, promise):
                return 1
            rounds += 1
        seconds = time.monotonic() - began
        print(f"{counted.cases:,} cases, {seconds:.0f} s", flush=True)
    print(f"{counted.cases:,} cases, nothing broke")
    return 0


def _holds(
    counted: promises.Counted,
    number: int,
    strategy: copies.Strategy,
    promise: Callable[[promises.Counted, copies.Damaged], None],
) -> bool:
    """One round of one promise; whether it was kept."""

    @seed(number)
    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=DirectoryBasedExampleDatabase(".hypothesis/fuzz"),
        suppress_health_check=list(HealthCheck),
        phases=(Phase.reuse, Phase.generate, Phase.shrink),
        print_blob=True,
    )
    @given(strategy)
    def examine(damaged: copies.Damaged) -> None:
        promise(counted, damaged)

    try:
        examine()
    except Exception as broken:
        print(f"{promise.__name__}: {broken!r}"[:4000], file=sys.stderr)
        for note in getattr(broken, "__notes__", ()):
            print(note, file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
