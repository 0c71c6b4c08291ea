"""Counts of many speakers, read so that the total agrees."""

from decimal import Decimal

import pytest

from proxy.wire.openai_usage import read_usage, usage_doubt


def counts(raw, **options):
    usage = read_usage(raw, **options)
    return usage.input_tokens, usage.output_tokens


def chat(given, made, total, **others):
    return {
        "prompt_tokens": given,
        "completion_tokens": made,
        "total_tokens": total,
        **others,
    }


def test_no_object_is_no_usage():
    assert read_usage(None) is None
    assert read_usage({}) is None
    assert read_usage("12") is None


def test_reasoning_is_inside_the_output_where_the_total_says_so():
    raw = chat(10, 30, 40, completion_tokens_details={"reasoning_tokens": 20})
    assert counts(raw) == (10, 30)
    assert read_usage(raw).reasoning_tokens == 20


def test_reasoning_outside_the_output_is_added_where_the_total_says_so():
    raw = chat(468, 82, 870, completion_tokens_details={"reasoning_tokens": 320})
    assert counts(raw) == (468, 402)


def test_cached_input_outside_the_input_is_added_where_the_total_says_so():
    assert counts(chat(10, 5, 115, prompt_tokens_details={"cached_tokens": 100})) == (110, 5)


def test_a_total_that_fits_nothing_leaves_the_counts_unknown():
    usage = read_usage(chat(35, 12, 109))
    assert (usage.input_tokens, usage.output_tokens) == (None, None)
    assert "109" in usage_doubt(usage)


def test_thinking_that_only_the_total_counts_is_output():
    assert counts(chat(35, 12, 109), hidden_output=True) == (35, 74)


def test_sound_that_only_the_total_counts_leaves_the_input_unknown():
    assert counts(chat(4, 20, 400, prompt_audio_seconds=9)) == (None, 20)


def test_a_missing_output_follows_from_the_total():
    assert counts({"prompt_tokens": 11, "total_tokens": 11}) == (11, 0)


def test_what_is_not_reported_is_none_and_a_reported_zero_is_zero():
    usage = read_usage(chat(1, 2, 3, prompt_tokens_details={"cached_tokens": 0}))
    assert usage.cache_read_tokens == 0
    assert usage.cache_write_tokens is None
    assert usage.reasoning_tokens is None
    assert usage.cost_usd is None


@pytest.mark.parametrize(
    "raw",
    [
        chat(9, 1, 10, prompt_tokens_details={"cached_tokens": 7}),
        chat(9, 1, 10, prompt_cache_hit_tokens=7, prompt_tokens_details=None),
        chat(9, 1, 10, num_cached_tokens=7),
        chat(9, 1, 10, cached_tokens=7),
        {"input_tokens": 9, "output_tokens": 1, "input_tokens_details": {"cached_tokens": 7}},
    ],
)
def test_each_speakers_word_for_cached_input_is_known(raw):
    assert read_usage(raw).cache_read_tokens == 7
    assert counts(raw) == (9, 1)


def test_sound_and_images_are_parts():
    into = {"audio_tokens": 3, "image_tokens": 4, "cached_tokens_details": {"audio_tokens": 2}}
    raw = chat(9, 5, 14, prompt_tokens_details=into, completion_tokens_details={"audio_tokens": 5})
    usage = read_usage(raw)
    assert (usage.audio_input_tokens, usage.image_input_tokens) == (3, 4)
    assert (usage.cached_audio_input_tokens, usage.audio_output_tokens) == (2, 5)


@pytest.mark.parametrize("nonsense", [-1, True, "12", 1.5, [], 2**70])
def test_what_is_no_count_is_unknown(nonsense):
    assert read_usage({"prompt_tokens": nonsense, "x": 1}).input_tokens is None


@pytest.mark.parametrize(
    ("said", "cost"),
    [
        ({"cost": 0.0042}, "0.0042"),
        ({"cost": 7.159e-05}, "0.00007159"),
        ({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.25}}, "0.25"),
        ({"cost": 0.01, "is_byok": True, "cost_details": {"upstream_inference_cost": 1}}, "1.01"),
        ({"cost": 0.25, "is_byok": False, "cost_details": {"upstream_inference_cost": 9}}, "0.25"),
        ({"cost": 0, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.1}}, "0"),
        ({"cost": {"total_cost": 0.006, "request_cost": 0.005}}, "0.006"),
        ({"cost_in_usd_ticks": 37756000}, "0.0037756"),
        ({"estimated_cost": 0.5}, "0.5"),
    ],
)
def test_a_cost_that_the_provider_states_is_read_exactly(said, cost):
    assert read_usage(chat(1, 1, 2, **said)).cost_usd == Decimal(cost)


def test_searches_are_counted_where_a_number_is_reported():
    assert read_usage({"server_tool_use_details": {"web_search_requests": 2}}).web_searches == 2
    assert read_usage({"num_search_queries": 3}).web_searches == 3
