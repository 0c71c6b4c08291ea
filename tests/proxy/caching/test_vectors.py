"""Vectors are found within their group, the nearest first, and bounded in number."""

from __future__ import annotations

import pytest

from proxy.caching import vectors
from proxy.caching.trust import LATEST, Trust
from proxy.caching.vectors import Vectors, likeness, unit
from proxy.rules.settings import Semantic

ONE, OTHER = b"group-one", b"other-group"


def test_the_nearest_come_first_and_the_far_ones_not_at_all() -> None:
    known = Vectors()
    for key, numbers in ((b"a", [1.0, 0.2]), (b"b", [1.0, 0.0]), (b"c", [0.0, 1.0])):
        known.add(ONE, unit(numbers), key)
    found = list(known.near(ONE, unit([1.0, 0.0]), 0.9))
    assert [each.key for each in found] == [b"b", b"a"]
    assert found[0].likeness == pytest.approx(1)


def test_groups_do_not_mix() -> None:
    known = Vectors()
    known.add(ONE, unit([1.0, 0.0]), b"a")
    assert list(known.near(OTHER, unit([1.0, 0.0]), 0.5)) == []


def test_the_oldest_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "MOST", 100)
    known = Vectors()
    for number in range(150):
        known.add(ONE, unit([1.0, number / 1000]), b"%d" % number)
    assert len(known) == 100
    keys = {each.key for each in known.near(ONE, unit([1.0, 0.0]), 0.0)}
    assert keys == {b"%d" % number for number in range(50, 150)}


def test_vectors_of_another_model_replace_all() -> None:
    known = Vectors()
    known.add(ONE, unit([1.0, 0.0]), b"a")
    assert list(known.near(ONE, unit([1.0, 0.0, 0.0]), 0.0)) == []
    known.add(ONE, unit([1.0, 0.0, 0.0]), b"b")
    assert [each.key for each in known.near(ONE, unit([1.0, 0.0, 0.0]), 0.5)] == [b"b"]


def test_what_points_nowhere_is_no_vector() -> None:
    assert unit([0.0, 0.0]) is None
    assert unit([float("nan"), 1.0]) is None
    assert likeness(unit([1.0, 0.0]), unit([1.0, 0.0, 0.0])) == 0


def test_trust_wants_samples_and_few_false_hits() -> None:
    rule = Semantic(embed="a/b", mode="serve", samples=10, false_hits=0.1)
    trust = Trust()
    assert trust.why_not(rule) == "0 of 10 comparisons were made"
    trust.false.extend([False] * 9 + [True])
    assert trust.why_not(rule) is None
    assert trust.why_not(rule.model_copy(update={"mode": "shadow"})) is not None
    trust.false.append(True)
    assert "were false" in (trust.why_not(rule) or "")
    trust.false.extend([False] * LATEST)
    assert trust.why_not(rule) is None, "the latest count"
