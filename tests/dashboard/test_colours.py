from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from dashboard.colours import NONE, PALETTE, REST, colour, colours


def test_first_names_all_differ() -> None:
    names = [f"model-{number}" for number in range(len(PALETTE))]
    assert len(set(colours(names).values())) == len(PALETTE)


@given(some.lists(some.text(max_size=8), unique=True, max_size=20))
def test_names_that_come_later_change_no_colour(names: list[str]) -> None:
    known = colours(names)
    assert dict(list(known.items())[:5]) == colours(names[:5])


def test_rest_and_unlabelled_have_colours_of_their_own() -> None:
    assert colour(None, "rest", {}) == REST
    assert colour(None, "group", {}) == NONE
    assert colour("new", "group", {}) in PALETTE
