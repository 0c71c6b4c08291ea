from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from dashboard.breakers import breakers

FIRST = datetime(2026, 3, 1, tzinfo=UTC)


def decided(*actions: tuple[str, str, int]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"policy": policy, "action": action, "last_at": FIRST + timedelta(minutes=minutes)}
            for policy, action, minutes in actions
        ],
        schema={"policy": pl.String, "action": pl.String, "last_at": pl.Datetime("us", "UTC")},
    )


def test_the_latest_change_of_an_upstream_is_its_state() -> None:
    found = breakers(
        decided(
            ("breaker", "closed openai", 9),
            ("breaker", "opened openai", 5),
            ("breaker", "opened azure", 3),
            ("breaker", "did not ask azure", 12),
            ("fallback", "opened groq", 4),
        )
    )
    assert found.select("upstream", "state").rows() == [("azure", "open"), ("openai", "closed")]
    assert found["at"][0] == FIRST + timedelta(minutes=3)


def test_without_a_breaker_there_is_no_state() -> None:
    assert breakers(decided(("retry", "gave up", 1))).is_empty()
    assert breakers(decided()).is_empty()
