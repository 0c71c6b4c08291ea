from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from analytics.queries import Selection, before
from analytics.windows import Window

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 10, tzinfo=UTC)
DAY = timedelta(days=1)


def window_before(since: datetime | None, until: datetime | None) -> Window | None:
    found = before(Selection(window=Window(since=since, until=until)), NOW)
    return found.window if found else None


def test_an_open_window_is_compared_with_as_long_a_one_before() -> None:
    assert window_before(NOW - 7 * DAY, None) == Window(since=NOW - 14 * DAY, until=NOW - 7 * DAY)


def test_a_day_so_far_is_compared_with_the_day_before_until_the_same_time() -> None:
    yesterday = Window(since=MIDNIGHT - DAY, until=NOW - DAY)
    assert window_before(MIDNIGHT, MIDNIGHT + DAY) == yesterday


def test_a_window_that_is_over_is_compared_whole() -> None:
    assert window_before(MIDNIGHT - DAY, MIDNIGHT) == Window(
        since=MIDNIGHT - 2 * DAY, until=MIDNIGHT - DAY
    )


def test_a_window_to_come_has_an_empty_one_before() -> None:
    found = window_before(NOW + DAY, NOW + 3 * DAY)
    assert found == Window(since=NOW - DAY, until=NOW - DAY)


@pytest.mark.parametrize("since", [None, NOW, NOW + DAY])
def test_without_a_beginning_or_a_length_there_is_none(since: datetime | None) -> None:
    assert window_before(since, None) is None


def test_filters_stay() -> None:
    chosen = Selection(
        window=Window(since=NOW - DAY), values={"feature": ["chat"]}, errors_only=True
    )
    found = before(chosen, NOW)
    assert found is not None
    assert (found.values, found.errors_only) == ({"feature": ["chat"]}, True)
