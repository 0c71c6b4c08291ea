"""The plan: what is decided before anything is put into bytes."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from random import Random

import pytest

from analytics import tokens
from sample_data.generator import Window, features, wording
from sample_data.generator.people import People
from sample_data.generator.plan import events_of, plan
from sample_data.generator.planned import Planned
from sample_data.generator.rhythm import moment

END = datetime(2026, 11, 24, tzinfo=UTC)
WINDOW = Window(end=END, days=30, seed=7, scale=0.3)


@cache
def planned() -> tuple[Planned, ...]:
    return tuple(plan(WINDOW))


def of(feature: features.Feature) -> list[Planned]:
    return [each for each in planned() if each.ask.feature is feature]


def test_the_same_window_gives_the_same_plan() -> None:
    window = Window(end=END, days=2, scale=0.2)
    assert list(plan(window)) == list(plan(window))
    assert list(plan(window)) != list(plan(Window(end=END, days=2, scale=0.2, seed=8)))


def test_exchanges_come_in_order_and_end_before_the_window_does() -> None:
    days = [moment(each.started_at).date() for each in planned()]
    assert days == sorted(days)
    assert min(days) == WINDOW.first_day.date()
    assert all(moment(each.started_at) < END for each in planned())
    until_noon = Window(end=END.replace(hour=12), days=1, scale=0.2)
    assert all(moment(each.started_at) < until_noon.end for each in plan(until_noon))


def test_identifiers_are_distinct_and_begin_with_their_moment() -> None:
    assert len({each.exchange_id for each in planned()}) == len(planned())
    for each in planned()[:200]:
        assert int(each.exchange_id.replace("-", "")[:12], 16) == each.started_at // 1000
        assert each.exchange_id[14] == "7"


def test_a_window_without_a_time_zone_or_without_days_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Window(end=datetime(2026, 11, 24))
    with pytest.raises(ValueError, match="one day"):
        Window(end=END, days=0)


def test_every_text_counts_its_tokens_as_a_tokenizer_does() -> None:
    chance = Random(1)
    texts = [wording.instructions("any", 500), wording.document(chance, 900)]
    texts += [wording.question(chance, 3) for _ in range(50)]
    for text in texts:
        assert text.tokens == wording.count(text.text) == tokens.estimate(text.text, "gpt-4.1")
        assert '"' not in text.text
        assert "\\" not in text.text


def test_everyday_things_all_happen() -> None:
    outcomes = Counter(each.fate.outcome for each in planned())
    for outcome in ("completed", "provider_error", "client_disconnected", "upstream_failed"):
        assert outcomes[outcome]
    assert {each.fate.status for each in planned()} >= {200, 429, 529, None}
    assert any(each.answer.ending == "length" for each in planned())
    assert any(each.flags.retry_of for each in planned())
    assert {each.ask.model.provider for each in planned()} == {
        *("openai", "anthropic", "gemini", "mistral", "bedrock", "vllm")
    }
    untagged = sum(each.ask.feature.name is None for each in planned())
    assert 0.01 < untagged / len(planned()) < 0.06


def test_few_people_use_most_and_new_ones_arrive() -> None:
    people = People(7, 30)
    assert len(people.present(1)[0]) < len(people.present(30)[0]) == len(people.everyone)
    used = Counter(each.ask.person.user_id for each in planned() if each.ask.person)
    top = sum(count for _, count in used.most_common(10))
    assert top > used.total() / 3
    newcomers = {person.user_id: person for person in people.everyone if person.first_day > 1}
    for each in planned():
        if each.ask.person and (new := newcomers.get(each.ask.person.user_id)):
            # In zones behind UTC an evening belongs to the day that its morning began.
            day = (moment(each.started_at) - WINDOW.first_day).days + 1
            assert day >= new.first_day


def test_weekends_and_nights_are_quieter() -> None:
    by_day = Counter(moment(each.started_at).weekday() for each in planned())
    assert by_day[6] < by_day[1] / 1.5
    by_hour = Counter(moment(each.started_at).hour for each in of(features.SEARCH))
    assert by_hour[4] < by_hour[10] / 3


def test_a_conversation_grows_and_finds_its_beginning_in_the_cache() -> None:
    sessions: dict[str, list[Planned]] = {}
    for each in of(features.CHAT):
        sessions.setdefault(str(each.ask.session_id), []).append(each)
    for turns in sessions.values():
        for before, after in itertools.pairwise(turns):
            assert len(after.ask.messages) >= len(before.ask.messages)
        for later in turns[2:]:
            assert later.counted.cache_read


def test_a_prompt_that_begins_with_the_time_is_never_cached() -> None:
    assert {each.counted.cache_read for each in of(features.BRIEFING)} == {0}
    assert all(each.ask.system.text.startswith("Now it is ") for each in of(features.BRIEFING))


def test_duplicates_ask_the_same_and_near_duplicates_almost() -> None:
    by_id = {each.exchange_id: each for each in planned()}
    again = [each for each in planned() if each.flags.duplicate_of]
    near = [each for each in planned() if each.flags.near_duplicate_of]
    assert again
    assert near
    for each in again:
        assert by_id[str(each.flags.duplicate_of)].ask == each.ask
    for each in near:
        first = by_id[str(each.flags.near_duplicate_of)].ask
        assert each.ask.messages[0].text.startswith(first.messages[0].text)
        assert each.ask != first


Mean = Callable[[Planned], float]


def _before_and_after(feature: features.Feature, starts: int, measure: Mean) -> tuple[float, float]:
    before = [measure(each) for each in of(feature) if each.started_at < starts]
    after = [measure(each) for each in of(feature) if each.started_at >= starts]
    return sum(before) / len(before), sum(after) / len(after)


def test_the_prompt_change_doubles_the_input() -> None:
    event = events_of(WINDOW).prompt_change
    before, after = _before_and_after(
        features.SEARCH, event.starts, lambda each: each.counted.input or 0
    )
    assert after / before == pytest.approx(event.detail["input_tokens_factor"], rel=0.1)


def test_the_cache_drop_leaves_little_of_the_cache() -> None:
    def cached(each: Planned) -> float:
        return (each.counted.cache_read or 0) / (each.counted.input or 1)

    starts = events_of(WINDOW).cache_drop.starts
    before, after = _before_and_after(features.KNOWLEDGE, starts, cached)
    assert before > 3 * after


def test_the_migration_goes_over_days() -> None:
    event = events_of(WINDOW).migration
    models = {
        each.ask.model.name for each in of(features.EXTRACT) if each.started_at < event.starts
    }
    assert models == {event.detail["from"]}
    last = [each.ask.model.name for each in of(features.EXTRACT)][-5:]
    assert set(last) == {event.detail["to"]}


def test_the_bad_day_brings_errors_and_slowness_to_one_provider() -> None:
    event = events_of(WINDOW).bad_day
    theirs = [each for each in planned() if each.ask.model.provider == event.detail["provider"]]
    bad = [each for each in theirs if event.is_on(each.started_at)]
    good = [each for each in theirs if not event.is_on(each.started_at)]

    def failed(some: list[Planned]) -> float:
        return sum(each.fate.outcome == "provider_error" for each in some) / len(some)

    def seconds(some: list[Planned]) -> float:
        fine = sorted(each.duration_seconds for each in some if each.fate.outcome == "completed")
        return fine[len(fine) // 2]

    assert failed(bad) > 5 * failed(good)
    assert seconds(bad) > 2.5 * seconds(good)


def test_the_runaway_is_one_session_of_one_user() -> None:
    event = events_of(WINDOW).runaway
    run = [each for each in planned() if each.flags.event == "runaway"]
    assert len({each.ask.session_id for each in run}) == 1
    assert {each.ask.person.user_id for each in run if each.ask.person} == {event.detail["user_id"]}
    assert len(run) >= event.detail["rounds"] * 0.9


def test_chat_grows() -> None:
    days = Counter((moment(each.started_at) - WINDOW.first_day).days for each in of(features.CHAT))
    assert sum(days[day] for day in range(23, 30)) > 1.4 * sum(days[day] for day in range(2, 9))
