"""Text completions."""

import pytest

COMPLETIONS = "/v1/completions"


def test_text_completions_are_claimed_and_chat_is_not(reading):
    assert reading(COMPLETIONS).operation == "text_completion"
    assert reading("/v1/fim/completions", "mistral").operation == "text_completion"
    assert reading("/v1/chat/completions").operation == "chat"


@pytest.mark.parametrize(
    ("prompt", "count"), [("one", 1), (["one", "two"], 2), ([1, 2, 3], 1), ([[1], [2]], 2)]
)
def test_prompts_are_counted(reading, prompt, count):
    facts = reading(COMPLETIONS).request({"model": "m", "prompt": prompt})
    assert (facts.message_count, facts.model) == (count, "m")


def test_a_whole_completion_is_read(reading):
    answer = {
        "id": "t-1",
        "model": "m",
        "choices": [{"index": 0, "text": "a", "finish_reason": "length"}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3},
    }
    facts = reading(COMPLETIONS).reply(answer)
    assert (facts.finish_reasons, facts.text()) == (("length",), "a")
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (2, 1)


def test_a_streamed_completion_is_read(reading, stream):
    body = stream(
        {"id": "t", "model": "m", "choices": [{"index": 0, "text": "a", "finish_reason": None}]},
        {"id": "t", "model": "m", "choices": [{"index": 0, "text": "b", "finish_reason": "stop"}]},
    )
    facts = reading(COMPLETIONS).reply(body)
    assert (facts.model, facts.finish_reasons, facts.usage) == ("m", ("stop",), None)
    assert facts.text() == "ab"


def test_a_speaker_who_only_sends_values_is_no_error(reading, stream):
    facts = reading(COMPLETIONS).reply(stream({"value": "a"}, {"value": "b"}, done=False))
    assert (facts.model, facts.usage, facts.parse_error) == (None, None, None)
