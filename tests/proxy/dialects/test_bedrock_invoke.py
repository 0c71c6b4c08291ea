"""Models invoked on Bedrock: each in a form of its own, usage in the form or beside it."""

import pytest

from tests.support.event_messages import chunks, exception

INVOKE = "/model/amazon.any-1%3A0/invoke"
STREAM = INVOKE + "-with-response-stream"
METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 9, "outputTokenCount": 4}}
HEADERS = {
    "x-amzn-bedrock-input-token-count": "9",
    "x-amzn-bedrock-output-token-count": "4",
}
ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [{"type": "text", "text": "yes"}, {"type": "tool_use", "name": "look", "id": "t"}],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 5, "output_tokens": 3, "cache_read_input_tokens": 20},
}
NOVA = {
    "output": {"message": {"role": "assistant", "content": [{"text": "yes"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 5, "outputTokens": 3, "cacheReadInputTokenCount": 0},
}
CHOICES = {
    "id": "c-1",
    "model": "gpt-x",
    "choices": [{"index": 0, "message": {"content": "yes"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
}


def counts(facts):
    usage = facts.usage
    return usage and (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens)


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/model/amazon.titan-embed-text-v2%3A0/invoke", "embeddings"),
        ("/model/cohere.rerank-v3-5%3A0/invoke", "rerank"),
        ("/model/amazon.titan-image-generator-v2%3A0/invoke", "image_generation"),
        ("/model/us.anthropic.claude-x/invoke", "chat"),
        ("/model/m/invoke-with-response-stream", "chat"),
    ],
)
def test_the_model_tells_the_operation(reading, path, operation):
    assert reading(path, "bedrock").operation == operation


def test_a_request_names_its_model_in_the_path(reading):
    headers = {
        "x-amzn-bedrock-service-tier": "priority",
        "x-amzn-bedrock-request-metadata": '{"user_id": "ana", "team": "red"}',
    }
    invoke = reading(STREAM, "bedrock", headers=headers)
    facts = invoke.request({"system": "be brief", "messages": [{"role": "user", "content": "hi"}]})
    assert (facts.model, facts.stream, facts.message_count) == ("amazon.any-1:0", True, 1)
    assert facts.service_tier == "priority"
    assert facts.labels == {"user_id": "ana", "tags.team": "red"}
    assert facts.prompt_text() == "be brief\nhi"


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        ({"prompt": "hi"}, 1),
        ({"inputText": "hi"}, 1),
        ({"message": "hi", "chat_history": [{"role": "USER", "message": "oh"}]}, 2),
        ({"texts": ["a", "b"]}, 2),
        ({}, None),
    ],
)
def test_prompts_of_all_forms_are_counted(reading, body, messages):
    assert reading(INVOKE, "bedrock").request(body).message_count == messages


def test_instructions_make_the_fingerprint(reading):
    invoke = reading(INVOKE, "bedrock")
    apart = invoke.request({"system": [{"text": "s"}], "messages": [{"role": "user"}]})
    within = invoke.request({"messages": [{"role": "system", "content": "s"}, {"role": "user"}]})
    assert apart.prompt_fingerprint
    assert within.prompt_fingerprint
    assert invoke.request({"prompt": "p"}).prompt_fingerprint is None


@pytest.mark.parametrize(
    ("answer", "model", "reasons", "usage", "calls"),
    [
        (ANTHROPIC, "claude-x", ("tool_use",), (25, 3, 20), 1),
        (NOVA, None, ("end_turn",), (5, 3, 0), 0),
        (CHOICES, "gpt-x", ("stop",), (5, 3, None), 0),
    ],
)
def test_the_models_own_form_is_read(reading, answer, model, reasons, usage, calls):
    facts = reading(INVOKE, "bedrock", reply_headers=HEADERS).reply(answer)
    assert (facts.model, facts.finish_reasons, counts(facts)) == (model, reasons, usage)
    assert (facts.tool_call_count, facts.error_type) == (calls, None)
    assert "yes" in facts.text()


@pytest.mark.parametrize(
    ("answer", "reasons", "text"),
    [
        (
            {"inputTextTokenCount": 9, "results": [{"outputText": "a", "tokenCount": 4}]},
            None,
            "a",
        ),
        ({"results": [{"outputText": "a", "completionReason": "FINISH"}]}, ("FINISH",), "a"),
        ({"generation": "a", "stop_reason": "length"}, ("length",), "a"),
        ({"outputs": [{"text": "a", "stop_reason": "stop"}]}, ("stop",), "a"),
        ({"generations": [{"text": "a", "finish_reason": "MAX"}] * 2}, ("MAX", "MAX"), "aa"),
        ({"text": "a", "finish_reason": "COMPLETE"}, ("COMPLETE",), "a"),
        (
            {"completions": [{"data": {"text": "a"}, "finishReason": {"reason": "endoftext"}}]},
            ("endoftext",),
            "a",
        ),
        ({"completion": "a", "stop_reason": "stop_sequence"}, ("stop_sequence",), "a"),
        ({"choices": [{"text": "a", "stop_reason": "stop"}]}, ("stop",), "a"),
    ],
)
def test_forms_without_usage_have_that_of_the_headers(reading, answer, reasons, text):
    facts = reading(INVOKE, "bedrock", reply_headers=HEADERS).reply(answer)
    assert (counts(facts), facts.finish_reasons) == ((9, 4, None), reasons)
    assert facts.text() == text


def test_without_headers_the_forms_own_counts_serve(reading):
    invoke = reading(INVOKE, "bedrock")
    answer = {"generation": "a", "prompt_token_count": 7, "generation_token_count": 2}
    assert counts(invoke.reply(answer | {"stop_reason": "stop"})) == (7, 2, None)
    titan = {"tokenCount": 2, "completionReason": "FINISH"}
    assert counts(invoke.reply({"inputTextTokenCount": 6, "results": [titan]})) == (6, 2, None)
    assert invoke.reply({"results": [{"relevance_score": 0.5}]}).usage is None


def test_headers_fill_what_a_guardrail_took(reading):
    answer = NOVA | {"usage": {"inputTokens": 8}}
    facts = reading(INVOKE, "bedrock", reply_headers=HEADERS).reply(answer)
    assert counts(facts) == (8, 4, None)


def test_an_embedding_has_input_only(reading):
    headers = {"x-amzn-bedrock-input-token-count": "6"}
    embed = reading("/model/amazon.titan-embed-v2/invoke", "bedrock", reply_headers=headers)
    facts = embed.reply({"embedding": [0.5, 0.25], "inputTextTokenCount": 6})
    assert (counts(facts), facts.tool_call_count) == ((6, None, None), None)


def test_a_stream_of_anthropics_is_read(reading):
    body = chunks(
        {"type": "message_start", "message": ANTHROPIC | {"content": [], "stop_reason": None}},
        {"type": "content_block_start", "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "ye"}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "s"}},
        {"type": "message_delta", "delta": {"stop_reason": "end"}, "usage": {"output_tokens": 4}},
        {"type": "message_stop", **METRICS},
    )
    facts = reading(STREAM, "bedrock").reply(body)
    assert (facts.model, facts.finish_reasons, counts(facts)) == ("claude-x", ("end",), (25, 4, 20))
    assert (facts.tool_call_count, facts.text()) == (0, "yes")
    cut = reading(STREAM, "bedrock").pieces(body[:900])
    assert (cut.usage.input_tokens, cut.usage.output_tokens) == (25, None)
    assert cut.tool_call_count is None


def test_a_stream_of_amazons_is_read(reading):
    facts = reading(STREAM, "bedrock").reply(
        chunks(
            {"messageStart": {"role": "assistant"}},
            {"contentBlockDelta": {"delta": {"text": "ye"}, "contentBlockIndex": 0}},
            {"contentBlockDelta": {"delta": {"text": "s"}, "contentBlockIndex": 0}},
            {"messageStop": {"stopReason": "end_turn"}},
            {"metadata": {"usage": NOVA["usage"]}, **METRICS},
        )
    )
    assert (facts.finish_reasons, counts(facts)) == (("end_turn",), (5, 3, 0))
    assert (facts.tool_call_count, facts.text()) == (0, "yes")


def test_a_stream_of_choices_is_read(reading):
    def chunk(delta, reason=None, **others):
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {"id": "c-1", "model": "gpt-x", "choices": [choice], **others}

    body = chunks(chunk({"content": "ye"}), chunk({"content": "s"}), chunk({}, "stop", **METRICS))
    facts = reading(STREAM, "bedrock").reply(body)
    assert (facts.model, facts.finish_reasons) == ("gpt-x", ("stop",))
    assert (counts(facts), facts.tool_call_count, facts.text()) == ((9, 4, None), 0, "yes")


def test_a_stream_of_plain_chunks_has_the_metrics(reading):
    llama = [
        {"generation": word, "generation_token_count": number, "stop_reason": None}
        for number, word in enumerate(["y", "e"], 1)
    ]
    end = {"generation": "s", "stop_reason": "length", "generation_token_count": 3}
    first = {"prompt_token_count": 7}
    whole = chunks(llama[0] | first, llama[1], llama[1] | {"generation": ""}, end | METRICS)
    facts = reading(STREAM, "bedrock").reply(whole)
    assert (facts.finish_reasons, facts.text()) == (("length",), "yes")
    assert counts(facts) == (7, 3, None)
    cut = reading(STREAM, "bedrock").pieces(chunks(llama[0] | first, llama[1]))
    assert counts(cut) == (7, None, None)  # the output was a count so far


def test_metrics_behind_a_gap_are_read(reading):
    text = chunks({"outputText": "one"}, {"outputText": "two"})
    end = chunks({"outputText": "three", "completionReason": "FINISH", **METRICS})
    facts = reading(STREAM, "bedrock").pieces(text[:120], None, text[150:] + end)
    assert (counts(facts), facts.finish_reasons) == ((9, 4, None), ("FINISH",))
    assert facts.parse_error is None


def test_an_exception_inside_a_stream_is_an_error(reading):
    body = chunks({"outputText": "one"}) + exception("modelStreamErrorException", "it broke")
    facts = reading(STREAM, "bedrock").reply(body)
    assert (facts.error_type, facts.error_message) == ("modelStreamErrorException", "it broke")


def test_a_refusal_has_no_usage(reading):
    kind = {"x-amzn-errortype": "ThrottlingException"} | HEADERS
    facts = reading(INVOKE, "bedrock", reply_headers=kind).reply({"message": "wait"}, status=429)
    assert (facts.error_type, facts.error_message) == ("ThrottlingException", "wait")
    assert facts.usage is None


def test_chunks_that_cannot_be_read_are_said(reading):
    odd = chunks({"outputText": "one"}).replace(b'"bytes"', b'"bytez"')
    assert "no messages" in reading(STREAM, "bedrock").pieces(odd).parse_error
    assert reading(STREAM, "bedrock").pieces(b"").usage is None
