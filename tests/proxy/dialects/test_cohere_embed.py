"""Cohere's embeddings: all that is billed is input."""

import pytest


@pytest.mark.parametrize("path", ["/v1/embed", "/v2/embed"])
def test_billed_units_are_input(reading, path):
    embed = reading(path, "cohere")
    facts = embed.request({"model": "e", "texts": ["a", "b"], "embedding_types": ["float"]})
    assert (embed.operation, facts.model, facts.message_count) == ("embeddings", "e", 2)
    assert (facts.stream, facts.prompt_text()) == (False, "a\nb")
    units = {"input_tokens": 4, "image_tokens": 30}
    facts = embed.reply({"id": "a", "embeddings": {}, "meta": {"billed_units": units}})
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (34, None)
    assert facts.usage.image_input_tokens == 30


def test_errors_are_read(reading):
    facts = reading("/v2/embed", "cohere").reply({"message": "model gone"}, status=404)
    assert (facts.error_message, facts.usage) == ("model gone", None)
    assert reading("/v2/embed", "cohere").reply(b"busy", status=503).error_message == "busy"
    assert reading("/v2/embed", "cohere").pieces(b"<html>").parse_error == "no JSON"


def test_usage_behind_a_gap_is_read(reading):
    body = b'{"embeddings":[[0.1,0.2,0.3]],"meta":{"billed_units":{"input_tokens":4}}}'
    facts = reading("/v1/embed", "cohere").pieces(body[:20], None, body[26:])
    assert facts.usage.input_tokens == 4
    assert facts.parse_error
