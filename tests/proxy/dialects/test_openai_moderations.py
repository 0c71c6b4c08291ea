"""Moderations: rows without usage."""

MODERATIONS = "/v1/moderations"


def test_a_request_counts_its_inputs(reading):
    read = reading(MODERATIONS)
    facts = read.request({"model": "guard-latest", "input": ["a", "b"]})
    assert (read.operation, facts.model, facts.message_count) == ("moderation", "guard-latest", 2)


def test_an_answer_names_its_model_and_no_usage(reading):
    facts = reading(MODERATIONS).reply({"id": "m-1", "model": "guard-7", "results": []})
    assert (facts.model, facts.response_id, facts.usage) == ("guard-7", "m-1", None)


def test_usage_is_read_where_a_speaker_reports_it(reading):
    usage = {"prompt_tokens": 8, "total_tokens": 8}
    assert reading(MODERATIONS, "mistral").reply({"usage": usage}).usage.input_tokens == 8


def test_errors_are_read(reading):
    facts = reading(MODERATIONS).reply({"error": {"type": "t", "message": "No."}}, status=401)
    assert (facts.error_type, facts.error_message, facts.model) == ("t", "No.", None)
