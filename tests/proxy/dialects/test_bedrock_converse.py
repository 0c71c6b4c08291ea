"""Bedrock's Converse: the model is in the path, usage at the end."""

import pytest

from tests.support.event_messages import events, exception, message

MODEL = "us.anthropic.claude-x-1:0"
CONVERSE = "/model/us.anthropic.claude-x-1%3A0/converse"
STREAM = CONVERSE + "-stream"
USAGE = {"inputTokens": 12, "outputTokens": 5, "totalTokens": 17}


def spoken(*blocks, reason="end_turn", **others):
    message = {"role": "assistant", "content": list(blocks)}
    return {"output": {"message": message}, "stopReason": reason, "usage": USAGE, **others}


def test_a_request_names_its_model_in_the_path(reading):
    document = {
        "system": [{"text": "be brief"}, {"cachePoint": {"type": "default"}}],
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "requestMetadata": {"user_id": "ana", "team": "red"},
        "serviceTier": {"type": "flex"},
    }
    facts = reading(CONVERSE, "bedrock").request(document)
    assert (facts.model, facts.stream, facts.message_count) == (MODEL, False, 1)
    assert facts.labels == {"user_id": "ana", "tags.team": "red"}
    assert facts.service_tier == "flex"
    assert facts.prompt_text() == "be brief\nhi"
    assert reading(STREAM, "bedrock").request(document).stream is True


@pytest.mark.parametrize("slash", ["/", "%2F"])
def test_a_model_may_be_an_arn(reading, slash):
    arn = f"arn%3Aaws%3Abedrock%3Aeu%3A1%3Ainference-profile{slash}eu.m-1"
    facts = reading(f"/model/{arn}/converse", "bedrock").request({})
    assert facts.model == "arn:aws:bedrock:eu:1:inference-profile/eu.m-1"


def test_cache_marks_do_not_change_the_fingerprint(reading):
    converse = reading(CONVERSE, "bedrock")
    mark = {"cachePoint": {"type": "default"}}
    plain = converse.request({"system": [{"text": "s"}]})
    marked = converse.request({"system": [{"text": "s"}, mark]})
    other = converse.request({"system": [{"text": "t"}]})
    assert plain.prompt_fingerprint == marked.prompt_fingerprint != other.prompt_fingerprint


def test_an_answer_has_usage_reason_and_calls(reading):
    call = {"toolUse": {"toolUseId": "1", "name": "weather", "input": {"city": "Ulm"}}}
    answer = spoken({"text": "let me see"}, call, reason="tool_use", serviceTier={"type": "flex"})
    facts = reading(CONVERSE, "bedrock").reply(answer)
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (12, 5)
    assert facts.usage.raw == USAGE
    assert (facts.finish_reasons, facts.tool_names, facts.tool_call_count) == (
        ("tool_use",),
        ("weather",),
        1,
    )
    assert (facts.model, facts.service_tier, facts.error_type) == (None, "flex", None)
    assert facts.text() == 'let me see\nweather\n{"city": "Ulm"}'


def test_tools_that_the_provider_runs_are_no_calls(reading):
    ran = {"toolUse": {"name": "interpreter", "type": "server_tool_use"}}
    facts = reading(CONVERSE, "bedrock").reply(spoken(ran, {"toolResult": {}}, {"text": "7"}))
    assert (facts.tool_names, facts.tool_call_count) == ((), 0)


def test_the_model_that_a_router_chose_is_told(reading):
    trace = {"promptRouter": {"invokedModelId": "arn:m-2"}}
    assert reading(CONVERSE, "bedrock").reply(spoken(trace=trace)).model == "arn:m-2"


def streamed(*extra):
    return events(
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Wie "}}),
        ("contentBlockDelta", {"delta": {"reasoningContent": {"text": "hm "}}}),
        ("contentBlockDelta", {"delta": {"text": "geht's"}}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        *extra,
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 9}}),
    )


def test_a_stream_has_the_same(reading):
    facts = reading(STREAM, "bedrock").reply(streamed())
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (12, 5)
    assert (facts.finish_reasons, facts.tool_call_count) == (("end_turn",), 0)
    assert facts.text() == "Wie hm geht's"
    assert facts.parse_error is None


def test_calls_in_a_stream_are_counted_where_they_begin(reading):
    call = ("contentBlockStart", {"start": {"toolUse": {"name": "weather", "toolUseId": "1"}}})
    piece = ("contentBlockDelta", {"delta": {"toolUse": {"input": '{"city":'}}})
    facts = reading(STREAM, "bedrock").reply(streamed(call, piece, call))
    assert (facts.tool_names, facts.tool_call_count) == (("weather", "weather"), 2)


def test_a_cut_stream_has_no_usage_and_no_number_of_calls(reading):
    body = streamed()
    facts = reading(STREAM, "bedrock").pieces(body[: len(body) // 2])
    assert (facts.usage, facts.tool_call_count, facts.finish_reasons) == (None, None, None)
    assert facts.parse_error is None


def test_usage_behind_a_gap_is_read(reading):
    body = streamed()
    facts = reading(STREAM, "bedrock").pieces(body[:150], None, body[300:])
    assert facts.usage.input_tokens == 12
    assert (facts.finish_reasons, facts.tool_call_count) == (("end_turn",), None)


def test_an_exception_inside_a_stream_is_an_error(reading):
    body = events(("messageStart", {})) + exception("throttlingException", "too much")
    facts = reading(STREAM, "bedrock").reply(body)
    assert (facts.error_type, facts.error_message) == ("throttlingException", "too much")
    headers = {":message-type": "error", ":error-code": "Internal", ":error-message": "oh"}
    facts = reading(STREAM, "bedrock").reply(message(headers, b""))
    assert (facts.error_type, facts.error_message) == ("Internal", "oh")


def test_a_refusal_is_named_by_its_header(reading):
    kind = {"x-amzn-errortype": "ValidationException:http://internal/coral"}
    refused = reading(CONVERSE, "bedrock", reply_headers=kind).reply({"message": "no"}, status=400)
    assert (refused.error_type, refused.error_message) == ("ValidationException", "no")
    assert refused.usage is None
    body = {"__type": "com.service#AccessDenied", "Message": "go"}
    refused = reading(CONVERSE, "bedrock").reply(body, status=403)
    assert (refused.error_type, refused.error_message) == ("AccessDenied", "go")
    assert reading(CONVERSE, "bedrock").reply(b"busy", status=503).error_message == "busy"


def test_counting_tokens_bills_nothing(reading):
    counter = reading("/model/m/count-tokens", "bedrock")
    assert counter.operation == "count_tokens"
    messages = [{"role": "user", "content": [{"text": "hi"}]}]
    asked = counter.request({"input": {"converse": {"messages": messages}}})
    assert (asked.model, asked.stream, asked.message_count) == ("m", False, 1)
    facts = counter.reply({"inputTokens": 12})
    assert (facts.usage, facts.parse_error) == (None, None)


def test_what_is_no_stream_is_said(reading):
    facts = reading(STREAM, "bedrock").pieces(b"<html>" * 9)
    assert facts.usage is None
    assert "no messages" in facts.parse_error


def test_a_bad_total_is_said(reading):
    answer = spoken() | {"usage": {"inputTokens": 12, "outputTokens": 5, "totalTokens": 40}}
    facts = reading(CONVERSE, "bedrock").reply(answer)
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (None, 5)
    assert "fits no reading" in facts.parse_error
