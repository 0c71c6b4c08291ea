"""IBM watsonx's text generation."""

WHOLE = "/ml/v1/text/generation?version=2025-01-01"
STREAM = "/ml/v1-beta/generation/text_stream"


def result(text, made, given=0, reason="not_finished"):
    counts = {"generated_token_count": made, "input_token_count": given}
    return {
        "model_id": "ibm/g",
        "results": [{"generated_text": text, "stop_reason": reason} | counts],
    }


def test_a_request_is_read(reading):
    facts = reading(STREAM, "watsonx").request({"model_id": "ibm/g", "input": "hi"})
    assert (facts.model, facts.stream, facts.message_count) == ("ibm/g", True, 1)
    assert facts.prompt_text() == "hi"
    assert reading(WHOLE, "watsonx").request({}).stream is False
    assert reading("/ml/v1/deployments/d/text/generation", "watsonx").operation == "text_completion"


def test_a_whole_answer_is_read(reading):
    facts = reading(WHOLE, "watsonx").reply(result("yes", 2, 7, "eos_token"))
    assert (facts.model, facts.finish_reasons, facts.text()) == ("ibm/g", ("eos_token",), "yes")
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (7, 2)


def test_a_stream_counts_its_input_once_and_its_output_anew(reading, stream):
    body = stream(result("", 0, 8), result("ye", 1), result("s", 2, 0, "eos_token"), done=False)
    facts = reading(STREAM, "watsonx").reply(body)
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (8, 2)
    assert (facts.finish_reasons, facts.text()) == (("eos_token",), "yes")
    cut = reading(STREAM, "watsonx").pieces(body[:-100])
    assert (cut.usage.input_tokens, cut.usage.output_tokens) == (8, None)


def test_errors_are_read(reading):
    body = {"errors": [{"code": "model_not_supported", "message": "no such model"}]}
    facts = reading(WHOLE, "watsonx").reply(body, status=404)
    assert (facts.error_type, facts.error_message) == ("model_not_supported", "no such model")
    assert reading(WHOLE, "watsonx").reply(b"busy", status=503).error_message == "busy"
