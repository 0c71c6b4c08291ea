"""Cohere's chat: what is billed is less than what is used."""

import json

import pytest

V1, V2 = "/v1/chat", "/v2/chat"
COUNTS = {
    "billed_units": {"input_tokens": 7.0, "output_tokens": 4},
    "tokens": {"input_tokens": 69, "output_tokens": 5},
    "cached_tokens": 48,
}


def lines(*values):
    return b"".join(json.dumps(v, separators=(",", ":")).encode() + b"\n" for v in values)


def test_requests_of_both_versions_are_read(reading):
    second = reading(V2, "cohere").request(
        {
            "model": "c",
            "stream": True,
            "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}],
        }
    )
    assert (second.model, second.stream, second.message_count) == ("c", True, 2)
    assert second.prompt_text() == "s\nhi"
    first = reading(V1, "cohere").request(
        {"preamble": "s", "message": "hi", "chat_history": [{"role": "USER", "message": "oh"}]}
    )
    assert (first.model, first.stream, first.message_count) == (None, False, 2)
    assert first.prompt_text() == "s\noh\nhi"
    assert first.prompt_fingerprint
    assert second.prompt_fingerprint
    assert reading(V1, "cohere").request(b'{"message":"h').stream is None


def test_the_billed_units_are_the_usage(reading):
    answer = {
        "id": "a-1",
        "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": [{"type": "text", "text": "yes"}]},
        "usage": COUNTS,
    }
    facts = reading(V2, "cohere").reply(answer)
    usage = facts.usage
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) == (7, 4, 48)
    assert usage.raw == COUNTS
    assert (facts.finish_reasons, facts.tool_call_count) == (("COMPLETE",), 0)
    assert (facts.response_id, facts.text()) == ("a-1", "yes")


def test_without_billed_units_the_tokens_are_the_usage(reading):
    answer = {"finish_reason": "COMPLETE", "usage": {"tokens": COUNTS["tokens"]}}
    assert reading(V2, "cohere").reply(answer).usage.input_tokens == 69
    assert reading(V2, "cohere").reply({"finish_reason": "COMPLETE"}).usage is None


def test_calls_are_counted_in_both_versions(reading):
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    message = {"tool_plan": "look ", "tool_calls": [call, call]}
    facts = reading(V2, "cohere").reply({"finish_reason": "TOOL_CALL", "message": message})
    assert (facts.tool_names, facts.tool_call_count) == (("weather", "weather"), 2)
    assert facts.text() == "look weather{}weather{}"
    call = {"name": "weather", "parameters": {"city": "Ulm"}}
    answer = {"text": "look", "finish_reason": "COMPLETE", "tool_calls": [call]}
    facts = reading(V1, "cohere").reply(answer)
    assert (facts.tool_names, facts.tool_call_count) == (("weather",), 1)


def test_generations_have_a_reason_each(reading):
    each = {"text": "yes", "finish_reason": "COMPLETE"}
    answer = {"id": "a", "generations": [each, each], "meta": {"api_version": {}, **COUNTS}}
    facts = reading("/v1/generate", "cohere").reply(answer)
    assert (facts.finish_reasons, facts.usage.output_tokens) == (("COMPLETE", "COMPLETE"), 4)
    assert facts.usage.raw == COUNTS


def first_stream(**others):
    response = {"text": "yes", "meta": COUNTS, "finish_reason": "COMPLETE", **others}
    return lines(
        {"is_finished": False, "event_type": "stream-start", "generation_id": "g-1"},
        {"is_finished": False, "event_type": "text-generation", "text": "ye"},
        {"is_finished": False, "event_type": "text-generation", "text": "s"},
        {"is_finished": True, "event_type": "stream-end", "response": response},
    )


def test_the_last_line_of_version_1_says_all(reading):
    facts = reading(V1, "cohere").reply(first_stream(response_id="r-1"))
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (7, 4)
    assert (facts.finish_reasons, facts.tool_call_count) == (("COMPLETE",), 0)
    assert (facts.response_id, facts.text()) == ("r-1", "yes")


def test_calls_in_lines_are_counted_once(reading):
    calls = [{"name": "weather", "parameters": {}}]
    body = lines({"event_type": "tool-calls-generation", "tool_calls": calls})
    facts = reading(V1, "cohere").reply(body + first_stream(tool_calls=calls))
    assert (facts.tool_names, facts.tool_call_count) == (("weather",), 1)


@pytest.fixture
def second_stream(stream):
    def built(*extra, **ending):
        end = {"finish_reason": "COMPLETE", "usage": COUNTS, **ending}
        text = {"message": {"content": {"text": "yes"}}}
        return stream(
            ("message-start", {"id": "a-1", "type": "message-start", "delta": {"message": {}}}),
            ("content-delta", {"type": "content-delta", "index": 0, "delta": text}),
            *extra,
            ("message-end", {"type": "message-end", "delta": end}),
        )

    return built


def test_events_of_version_2_are_read(reading, second_stream):
    facts = reading(V2, "cohere").reply(second_stream())
    assert (facts.usage.input_tokens, facts.usage.cache_read_tokens) == (7, 48)
    assert (facts.finish_reasons, facts.tool_call_count) == (("COMPLETE",), 0)
    assert (facts.response_id, facts.text()) == ("a-1", "yes")


def test_calls_in_events_are_counted_where_they_begin(reading, second_stream):
    call = {"message": {"tool_calls": {"id": "1", "function": {"name": "weather"}}}}
    piece = {"message": {"tool_calls": {"function": {"arguments": "{}"}}}}
    facts = reading(V2, "cohere").reply(
        second_stream(
            ("tool-call-start", {"type": "tool-call-start", "index": 0, "delta": call}),
            ("tool-call-delta", {"type": "tool-call-delta", "index": 0, "delta": piece}),
            ("tool-call-start", {"type": "tool-call-start", "index": 1, "delta": call}),
        )
    )
    assert (facts.tool_names, facts.tool_call_count) == (("weather", "weather"), 2)
    assert facts.text() == "yesweather{}weather"


def test_cut_streams_say_nothing_of_usage_and_calls(reading, second_stream):
    for path, body in ((V1, first_stream()), (V2, second_stream())):
        facts = reading(path, "cohere").pieces(body[: len(body) // 2])
        assert (facts.usage, facts.tool_call_count, facts.parse_error) == (None, None, None)


def test_usage_behind_a_gap_is_read(reading, second_stream):
    for path, body in ((V1, first_stream()), (V2, second_stream())):
        tail = len(body) - body.rindex(b'"billed_units"') + 25
        facts = reading(path, "cohere").pieces(body[:90], None, body[-tail - 60 :])
        assert facts.usage.input_tokens == 7
        assert facts.tool_call_count is None


def test_errors_are_read(reading, second_stream):
    facts = reading(V2, "cohere").reply({"id": "e", "message": "model gone"}, status=404)
    assert (facts.error_message, facts.usage) == ("model gone", None)
    facts = reading(V2, "cohere").reply(second_stream(finish_reason="ERROR", error="it broke"))
    assert (facts.error_type, facts.error_message) == ("error", "it broke")
    assert reading(V2, "cohere").reply(b"busy", status=503).error_message == "busy"
