"""Live traffic asks what the demo provider can answer."""

from __future__ import annotations

import random
import urllib.request

from sample_data.generator import bodies
from sample_data.generator.people import People
from sample_data.traffic import FEATURES, headers_of, some_ask


def test_every_feature_gets_an_answer(demo_url: str) -> None:
    chance, people = random.Random(1), People(7, 30)
    left = {feature.name for feature in FEATURES}
    while left:
        ask = some_ask(chance, people)
        if ask.feature.name not in left:
            continue
        left.remove(ask.feature.name)
        request = urllib.request.Request(
            demo_url + ask.model.target, data=bodies.request(ask), headers=headers_of(ask)
        )
        with urllib.request.urlopen(request, timeout=20) as reply:
            assert reply.status == 200
            assert reply.read()


def test_labels_travel_in_headers() -> None:
    chance, people = random.Random(2), People(7, 30)
    tagged = next(ask for _ in range(100) if (ask := some_ask(chance, people)).feature.name)
    headers = headers_of(tagged)
    assert headers["meterline-feature"] == tagged.feature.name
    assert "meterline-tag-team" in headers
