"""Results of message batches."""

import json

RESULTS = "/v1/messages/batches/batch-1/results?beta=true"


def lines(*results):
    return b"".join(
        json.dumps({"custom_id": f"job-{number}", "result": result}).encode() + b"\n"
        for number, result in enumerate(results)
    )


def succeeded(model="c-1", geo="us", **usage):
    counts = {"input_tokens": 10, "output_tokens": 5, "inference_geo": geo, **usage}
    message = {"type": "message", "model": model, "usage": counts}
    return {"type": "succeeded", "message": message}


def test_every_result_is_accounted_at_batch_prices(reading):
    body = lines(
        succeeded(cache_read_input_tokens=100),
        {"type": "errored", "error": {"type": "error"}},
        succeeded(),
        {"type": "expired"},
        succeeded(model="c-2"),
    )
    read = reading(RESULTS, "anthropic", "GET")
    facts = read.pieces(body)
    usage = facts.usage
    assert read.operation == "batch_results"
    assert (facts.model, facts.response_id, facts.service_tier) == ("c-1", "batch-1", "batch")
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (130, 100, 15)
    assert [(part.model, part.usage.output_tokens) for part in usage.passes] == [("c-2", 5)]
    assert usage.raw == {"results": 5, "inference_geo": "us"}


def test_terms_that_differ_are_left_out(reading):
    body = lines(succeeded(), succeeded(geo="global"))
    assert reading(RESULTS, "anthropic", "GET").pieces(body).usage.raw == {"results": 2}


def test_a_batch_of_which_nothing_succeeded_used_nothing(reading):
    facts = reading(RESULTS, "anthropic", "GET").pieces(lines({"type": "canceled"}))
    assert (facts.usage, facts.parse_error) == (None, None)


def test_results_that_are_cut_have_no_sum(reading):
    body = lines(succeeded(), succeeded())
    read = reading(RESULTS, "anthropic", "GET")
    for cut in range(len(lines(succeeded())) + 2, len(body) - 1):
        assert read.pieces(body[:cut]).usage is None


def test_refusals_are_errors(reading):
    error = {"type": "error", "error": {"type": "not_found_error", "message": "Gone."}}
    facts = reading(RESULTS, "anthropic", "GET").reply(error, status=404)
    assert (facts.error_type, facts.error_message) == ("not_found_error", "Gone.")
