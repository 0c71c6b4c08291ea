"""Batches: one that has ended, and the file of its results."""

import json

import pytest

from proxy.dialects import find
from proxy.facts import ReplyHead, RequestFacts, RequestHead

FILE, BATCH = "/v1/files/file-1/content", "/v1/batches/batch-1"


def result(number, model="m-1", tokens=10):
    usage = {
        "prompt_tokens": tokens,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens": 2,
        "total_tokens": tokens + 2,
    }
    body = {"id": f"c-{number}", "model": model, "choices": [], "usage": usage}
    return {
        "id": f"r-{number}",
        "custom_id": f"job-{number}",
        "response": {"status_code": 200, "body": body},
        "error": None,
    }


def failure(number):
    body = {"error": {"message": "No."}}
    return {
        "custom_id": f"job-{number}",
        "response": {"status_code": 400, "body": body},
        "error": None,
    }


def lines(*values):
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def test_each_path_has_its_operation(reading):
    assert reading(FILE, method="GET").operation == "file_content"
    assert reading(BATCH, method="GET").operation == "batch"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/batches"),
        ("GET", "/v1/batches"),
        ("POST", "/v1/batches/batch-1/cancel"),
        ("GET", "/v1/files/file-1"),
        ("GET", "/v1/messages/batches/batch-1"),
    ],
)
def test_what_reports_no_usage_is_not_claimed(method, path):
    assert find(RequestHead(provider="openai", method=method, target=path)) is None


def test_every_result_is_accounted_at_batch_prices(reading):
    body = lines(result(1), failure(2), result(3, tokens=20), result(4, model="m-2"))
    facts = reading(FILE, method="GET").pieces(body)
    usage = facts.usage
    assert (facts.model, facts.response_id, facts.service_tier) == ("m-1", "file-1", "batch")
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) == (40, 6, 12)
    assert [(part.model, part.usage.input_tokens) for part in usage.passes] == [("m-2", 10)]
    assert usage.raw == {"results": 4}


def test_results_of_other_endpoints_are_accounted(reading):
    spoken = {"model": "m-1", "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}}
    vector = {"model": "m-1", "usage": {"prompt_tokens": 5, "total_tokens": 5}}
    body = lines(*({"custom_id": "j", "response": {"body": each}} for each in (spoken, vector)))
    usage = reading(FILE, method="GET").pieces(body).usage
    assert (usage.input_tokens, usage.output_tokens) == (8, 4)


def test_a_sum_of_which_a_part_is_missing_is_not_given(reading):
    body = lines(result(1), result(2), result(3))
    read = reading(FILE, method="GET")
    for facts in (read.pieces(body[:-9]), read.pieces(body[:40], None, body[60:])):
        assert facts.usage is None
        assert "not all of them" in facts.parse_error


def test_a_file_shorter_than_announced_is_not_whole():
    head = RequestHead(provider="openai", method="GET", target=FILE)
    body = lines(result(1), result(2))
    for announced, whole in ((len(body), True), (len(body) + 1, False)):
        headers = {"content-length": str(announced)}
        reply = ReplyHead(status=200, headers=headers, request=head, request_facts=RequestFacts())
        reader = find(head)[0].reply_reader(reply)
        reader.feed(body)
        assert (reader.finish().usage is not None) is whole


@pytest.mark.parametrize(
    "body",
    [
        b"\x89PNG\r\n",
        b"",
        b'{\n  "pretty": true\n}\n',
        lines({"messages": []}, {"messages": []}),
        lines({"custom_id": "j", "method": "POST", "url": "/v1/embeddings", "body": {}}),
    ],
)
def test_other_files_have_no_facts(reading, body):
    facts = reading(FILE, method="GET").reply(body)
    assert (facts.usage, facts.service_tier, facts.parse_error) == (None, None, None)


def test_a_file_that_is_not_there_is_an_error(reading):
    error = {"error": {"code": "missing", "message": "No such file."}}
    facts = reading(FILE, method="GET").reply(error, status=404)
    assert (facts.error_type, facts.error_message) == ("missing", "No such file.")


def batch(**members):
    usage = {
        "input_tokens": 30,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 6,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 36,
    }
    base = {"id": "batch-1", "object": "batch", "status": "completed", "model": "m-1"}
    counts = {"total": 3, "completed": 3, "failed": 0}
    return {**base, "output_file_id": "file-1", "request_counts": counts, "usage": usage, **members}


def test_a_batch_that_ended_has_the_usage_of_its_file(reading):
    facts = reading(BATCH, method="GET").reply(batch())
    assert (facts.model, facts.response_id, facts.service_tier) == ("m-1", "file-1", "batch")
    assert (facts.usage.input_tokens, facts.usage.reasoning_tokens) == (30, 1)
    assert reading(BATCH, method="GET").reply(batch(output_file_id=None)).response_id == "batch-1"


@pytest.mark.parametrize(
    "members", [{"status": "in_progress"}, {"object": "list"}, {"usage": None}, {"usage": {}}]
)
def test_a_batch_under_way_or_without_usage_has_none(reading, members):
    assert reading(BATCH, method="GET").reply(batch(**members)).usage is None


def test_usage_that_was_not_counted_is_unknown(reading):
    zero = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    none_done = {"total": 3, "completed": 0, "failed": 3}
    read = reading(BATCH, method="GET")
    assert read.reply(batch(usage=zero)).usage is None
    assert read.reply(batch(usage=zero, request_counts=none_done)).usage.input_tokens == 0
