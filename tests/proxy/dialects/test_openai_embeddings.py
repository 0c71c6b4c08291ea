"""Embeddings: all of their usage is input."""

EMBEDDINGS = "/v1/embeddings"


def test_a_request_counts_its_inputs(reading):
    embeddings = reading(EMBEDDINGS)
    assert embeddings.operation == "embeddings"
    facts = embeddings.request({"model": "e", "input": ["a", "b"], "user": "ana"})
    assert (facts.model, facts.message_count, facts.stream) == ("e", 2, False)
    assert facts.prompt_text() == "a\nb"


def test_an_answer_has_model_and_input(reading):
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    answer = {"data": [{"embedding": [0.5, 0.25]}], "model": "e-dated", "usage": usage}
    facts = reading(EMBEDDINGS).reply(answer)
    assert (facts.model, facts.usage.input_tokens) == ("e-dated", 5)


def test_a_total_alone_is_input(reading):
    facts = reading(EMBEDDINGS, "voyage").reply({"model": "e", "usage": {"total_tokens": 3}})
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (3, None)


def test_an_answer_without_usage_has_none(reading):
    assert reading("/api/embeddings", "ollama").reply({"embedding": [0.5]}).usage is None


def test_errors_are_read(reading):
    facts = reading(EMBEDDINGS).reply({"detail": "no such model"}, status=400)
    assert facts.error_message == "no such model"
    assert reading(EMBEDDINGS).reply(b"busy", status=503).error_message == "busy"


def test_usage_behind_a_gap_is_read(reading):
    body = b'{"object": "list", "data": [{"embedding": [0.1, 0.2]}], "usage": {"total_tokens": 3}}'
    facts = reading(EMBEDDINGS).pieces(body[:45], None, body[50:])
    assert facts.usage.input_tokens == 3
    assert facts.parse_error
