"""Replicate's predictions, as they are made."""

from proxy.dialects import find
from proxy.facts import RequestHead

PREDICTIONS = "/v1/predictions"


def test_a_request_names_its_model_in_path_or_body(reading):
    named = reading("/v1/models/meta/llama-x/predictions", "replicate")
    facts = named.request({"input": {"prompt": "hi"}, "stream": True})
    assert (facts.model, facts.stream, facts.prompt_text()) == ("meta/llama-x", True, "hi")
    facts = reading(PREDICTIONS, "replicate").request({"version": "ac73", "input": {}})
    assert (facts.model, facts.stream) == ("ac73", False)


def test_one_that_only_started_has_no_usage(reading):
    answer = {"id": "p-1", "model": "meta/llama-x", "status": "starting", "error": None}
    facts = reading(PREDICTIONS, "replicate").reply(answer, status=201)
    assert (facts.model, facts.response_id, facts.usage) == ("meta/llama-x", "p-1", None)
    assert (facts.error_type, facts.text()) == (None, "")


def test_one_that_was_waited_for_has_its_counts(reading):
    metrics = {"input_token_count": 9, "output_token_count": 4, "predict_time": 0.5}
    answer = {"id": "p-1", "status": "succeeded", "output": ["y", "es"], "metrics": metrics}
    facts = reading(PREDICTIONS, "replicate").reply(answer)
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (9, 4)
    assert facts.text() == "y\nes"
    picture = {"status": "succeeded", "metrics": {"predict_time": 0.5}}
    assert reading(PREDICTIONS, "replicate").reply(picture).usage is None


def test_failures_are_errors(reading):
    facts = reading(PREDICTIONS, "replicate").reply({"status": "failed", "error": "out of memory"})
    assert (facts.error_type, facts.error_message) == ("failed", "out of memory")
    facts = reading(PREDICTIONS, "replicate").reply({"title": "no", "status": 402}, status=402)
    assert facts.error_message == "no"


def test_a_poll_is_not_claimed():
    head = RequestHead(provider="replicate", method="GET", target=PREDICTIONS + "/p-1")
    assert find(head) is None
