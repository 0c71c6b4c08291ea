"""Bedrock's counts: cache reads and writes come on top of the input."""

import pytest

from proxy.wire.bedrock_usage import (
    completed_by,
    converse_usage,
    guardrail_units,
    usage_doubt,
    usage_in_headers,
    usage_in_metrics,
)


def test_cache_reads_and_writes_are_added_to_the_input():
    usage = converse_usage(
        {"inputTokens": 3, "outputTokens": 10, "totalTokens": 63}
        | {"cacheReadInputTokens": 40, "cacheWriteInputTokens": 10}
    )
    assert (usage.input_tokens, usage.output_tokens) == (53, 10)
    assert (usage.cache_read_tokens, usage.cache_write_tokens) == (40, 10)


def test_a_total_that_already_includes_the_cache_is_believed():
    raw = {"inputTokens": 50, "outputTokens": 10, "totalTokens": 60, "cacheReadInputTokens": 40}
    assert converse_usage(raw).input_tokens == 50


def test_a_total_that_fits_no_reading_leaves_the_input_unknown():
    usage = converse_usage({"inputTokens": 50, "outputTokens": 10, "totalTokens": 99})
    assert usage.input_tokens is None
    assert "99" in usage_doubt(usage)
    assert usage_doubt(converse_usage({"inputTokens": 50, "outputTokens": 10})) is None


def test_counts_of_the_cache_have_two_names():
    usage = converse_usage({"inputTokens": 3, "outputTokens": 1, "cacheReadInputTokenCount": 4})
    assert (usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens) == (7, 4, None)


@pytest.mark.parametrize(
    ("details", "hour"),
    [
        ([{"ttl": "5m", "inputTokens": 4}, {"ttl": "1h", "inputTokens": 6}], 6),
        ([{"ttl": "5m", "inputTokens": 10}], 0),
        ([{"ttl": "1h", "inputTokens": 7}], None),
        (["odd"], None),
        (None, None),
    ],
)
def test_the_split_of_writes_counts_where_it_adds_up(details, hour):
    raw = {"inputTokens": 3, "outputTokens": 1, "cacheWriteInputTokens": 10}
    assert converse_usage(raw | {"cacheDetails": details}).cache_write_1h_tokens == hour


def test_headers_tell_usage_and_zeros_of_the_cache_tell_nothing():
    headers = {
        "x-amzn-bedrock-input-token-count": "7",
        "x-amzn-bedrock-output-token-count": "5",
        "x-amzn-bedrock-cache-read-input-token-count": "0",
    }
    usage = usage_in_headers(headers)
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) == (7, 5, None)
    assert usage.raw["x-amzn-bedrock-input-token-count"] == 7
    headers["x-amzn-bedrock-cache-read-input-token-count"] = "30"
    assert usage_in_headers(headers).input_tokens == 37
    assert usage_in_headers({"x-amzn-bedrock-input-token-count": "-1"}) is None


def test_the_models_own_counts_hold_and_others_fill_what_is_missing():
    own = converse_usage({"inputTokens": 8})
    aside = usage_in_metrics({"inputTokenCount": 9, "outputTokenCount": 5})
    both = completed_by(own, aside)
    assert (both.input_tokens, both.output_tokens) == (8, 5)
    assert both.raw["inputTokens"] == 8
    assert completed_by(None, aside) is aside
    assert completed_by(own, None) is own


@pytest.mark.parametrize("raw", [None, [], {}, {"inputTokens": "7"}, {"inputTokens": -1}])
def test_what_is_no_usage_is_none(raw):
    assert converse_usage(raw) is None
    assert usage_in_metrics(raw) is None


def test_units_of_guardrails_are_those_that_are_billed():
    used = {"topicPolicyUnits": 1, "wordPolicyUnits": 0, "sensitiveInformationPolicyFreeUnits": 4}
    assessment = {"invocationMetrics": {"guardrailProcessingLatency": 5, "usage": used}}
    trace = {"inputAssessment": {"g": assessment}, "outputAssessments": {"g": [assessment] * 2}}
    assert guardrail_units(trace) == 3
    assert guardrail_units(None) == guardrail_units({"modelOutput": ["x"]}) == 0
