"""Chat completions as their many speakers send them."""

import pytest

CHAT = "/v1/chat/completions"


def chunk(delta=None, finish=None, index=0, **others):
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return {"id": "c-1", "model": "m-1", "choices": [choice], **others}


def said(text):
    return chunk({"content": text})


def usage(given, made, **others):
    total = given + made
    return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": total, **others}


def called(*calls):
    return chunk({"tool_calls": list(calls)})


def call(index, name=None, arguments="", identity=None):
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return {"index": index, "id": identity, "type": "function", "function": function}


# Requests


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/openai/v1/chat/completions",
        "/api/paas/v4/chat/completions?x=1",
        "//openai/deployments/d/chat/completions?api-version=1",
        "/inference/v1/chat/completions/",
    ],
)
def test_a_path_is_claimed_by_its_end(reading, path):
    chat = reading(path)
    assert (chat.dialect.name, chat.operation) == ("openai_chat", "chat")


def test_a_request_says_what_it_asks_for(reading):
    facts = reading(CHAT).request(
        {
            "model": "m-1",
            "stream": True,
            "service_tier": "flex",
            "user": "ana",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
            ],
        }
    )
    assert (facts.model, facts.stream, facts.service_tier) == ("m-1", True, "flex")
    assert facts.message_count == 2
    assert facts.labels == {"user_id": "ana"}
    assert facts.prompt_text() == "Be brief.\nHello"
    assert facts.parse_error is None


def test_a_request_that_does_not_mention_streams_wants_none(reading):
    assert reading(CHAT).request({"model": "m", "messages": []}).stream is False


def test_the_deployment_in_the_path_is_the_model_where_the_body_has_none(reading):
    azure = reading("/openai/deployments/my%20gpt/chat/completions", "azure")
    assert azure.request({"messages": []}).model == "my gpt"
    assert azure.request({"messages": [], "model": "m"}).model == "m"


def test_the_fingerprint_hangs_on_instructions_and_tools_alone(reading):
    def mark(system, said, tools=()):
        messages = [{"role": "system", "content": system}, {"role": "user", "content": said}]
        return reading(CHAT).request({"messages": messages, "tools": list(tools)})

    parts = [{"type": "text", "text": "A"}]
    assert mark("A", "x").prompt_fingerprint == mark(parts, "y").prompt_fingerprint
    assert mark("A", "x").prompt_fingerprint != mark("B", "x").prompt_fingerprint
    assert mark("A", "x").prompt_fingerprint != mark("A", "x", [{"a": 1}]).prompt_fingerprint
    plain = reading(CHAT).request({"messages": [{"role": "user", "content": "x"}]})
    assert plain.prompt_fingerprint is None


def test_a_cut_request_keeps_what_is_certain(reading):
    facts = reading(CHAT).request(b'{"model": "m-1", "messages": [{"role": "user", "content": "he')
    assert facts.model == "m-1"
    assert facts.stream is None
    assert facts.parse_error


@pytest.mark.parametrize("body", [b"", b"\x00\xff", b"[]", b"null", b'{"messages": 3, "model": 1}'])
def test_no_body_is_too_odd_to_read(reading, body):
    facts = reading(CHAT).request(body)
    assert facts.model is None
    facts.prompt_text()


# Whole answers


def test_a_whole_answer_is_read(reading):
    answer = {
        "id": "c-1",
        "model": "m-1-dated",
        "service_tier": "default",
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {
                    "content": "Wait.",
                    "tool_calls": [call(0, "look", '{"a":1}', "x"), call(1, "seek", "{}", "y")],
                },
            }
        ],
        "usage": usage(9, 4, prompt_tokens_details={"cached_tokens": 2}),
    }
    facts = reading(CHAT).reply(answer)
    assert (facts.model, facts.response_id, facts.service_tier) == ("m-1-dated", "c-1", "default")
    assert facts.finish_reasons == ("tool_calls",)
    assert (facts.tool_names, facts.tool_call_count) == (("look", "seek"), 2)
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (9, 4)
    assert facts.usage.cache_read_tokens == 2
    assert facts.usage.raw == answer["usage"]
    assert facts.text() == 'Wait.look{"a":1}seek{}'
    assert (facts.error_type, facts.parse_error) == (None, None)


def test_choices_come_in_the_order_of_their_index(reading):
    choices = [
        {"index": 1, "finish_reason": "length", "message": {"content": "b"}},
        {"index": 0, "finish_reason": "stop", "message": {"content": "a"}},
    ]
    facts = reading(CHAT).reply({"model": "m", "choices": choices})
    assert facts.finish_reasons == ("stop", "length")
    assert facts.tool_call_count == 0
    assert facts.usage is None


def test_an_empty_finish_reason_and_an_empty_function_call_are_none(reading):
    message = {"content": "x", "function_call": {"name": "", "arguments": ""}, "tool_calls": None}
    facts = reading(CHAT).reply({"choices": [{"finish_reason": "", "message": message}]})
    assert facts.finish_reasons is None
    assert facts.tool_call_count == 0


def test_the_older_function_call_is_a_call(reading):
    message = {"content": None, "function_call": {"name": "look", "arguments": "{}"}}
    answer = {"choices": [{"finish_reason": "function_call", "message": message}]}
    facts = reading(CHAT).reply(answer)
    assert (facts.tool_names, facts.tool_call_count) == (("look",), 1)


def test_thinking_that_only_googles_total_counts_is_output(reading):
    answer = {"model": "g", "choices": [], "usage": {**usage(35, 12), "total_tokens": 109}}
    facts = reading("/v1beta/openai/chat/completions", "gemini").reply(answer)
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (35, 74)
    facts = reading(CHAT).reply(answer)
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (None, None)
    assert "109" in facts.parse_error


# Streams


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_stream_with_a_usage_chunk_is_read(reading, stream, end):
    body = stream(
        {**said(""), "choices": [], "model": ""},
        said("Hel"),
        {**said("lo"), "usage": None},
        chunk(finish="stop"),
        {**chunk(), "choices": [], "usage": usage(9, 2), "service_tier": "priority"},
        end=end,
    )
    facts = reading(CHAT).reply(body)
    assert (facts.model, facts.response_id) == ("m-1", "c-1")
    assert (facts.finish_reasons, facts.tool_call_count) == (("stop",), 0)
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (9, 2)
    assert facts.service_tier == "priority"
    assert facts.text() == "Hello"
    assert facts.parse_error is None


def test_a_stream_without_usage_has_none(reading, stream):
    facts = reading(CHAT).reply(stream(said("Hello"), chunk(finish="stop")))
    assert facts.usage is None
    assert facts.text() == "Hello"


def test_of_usage_in_every_chunk_the_last_counts(reading, stream):
    chunks = [{**said("a"), "usage": usage(9, n)} for n in range(1, 6)]
    facts = reading(CHAT).reply(stream(*chunks, done=False))
    assert facts.usage.output_tokens == 5


def test_usage_may_come_beside_the_choice_and_be_followed_by_more(reading, stream):
    last = {**chunk(finish="stop"), "usage": usage(9, 1)}
    assert reading(CHAT).reply(stream(last, chunk())).usage.output_tokens == 1


def test_groqs_usage_aside_counts_where_there_is_no_other(reading, stream):
    aside = {**chunk(finish="stop"), "x_groq": {"id": "r", "usage": usage(21, 988)}}
    groq = reading("/openai/v1/chat/completions", "groq")
    assert groq.reply(stream(said("x"), aside)).usage.output_tokens == 988
    both = {**aside, "usage": usage(21, 988, queue_time=0.5)}
    assert groq.reply(stream(said("x"), both)).usage.raw == both["usage"]


def test_tool_calls_are_put_together_by_index(reading, stream):
    body = stream(
        called(call(0, "look", "", "a")),
        called(call(0, None, '{"q":')),
        called(call(1, "seek", "", "b"), call(0, None, "1}")),
        chunk(finish="tool_calls"),
    )
    facts = reading(CHAT).reply(body)
    assert (facts.tool_names, facts.tool_call_count) == (("look", "seek"), 2)


def test_calls_that_are_all_numbered_alike_are_told_apart_by_their_ids(reading, stream):
    body = stream(called(call(0, "look", "{}", "a")), called(call(0, "look", "{}", "b")))
    assert reading(CHAT).reply(body).tool_call_count == 2
    repeated = stream(called(call(0, "look", "", "a")), called(call(0, "look", "{}", "a")))
    assert reading(CHAT).reply(repeated).tool_call_count == 1


def test_each_choice_of_a_stream_has_its_reason_and_its_calls(reading, stream):
    second = {**chunk({"tool_calls": [call(0, "look", "", "b")]}, index=1)}
    body = stream(
        called(call(0, "look", "", "a")), second, chunk(finish="length", index=1), chunk(finish="x")
    )
    facts = reading(CHAT).reply(body)
    assert facts.finish_reasons == ("x", "length")
    assert facts.tool_call_count == 2


def test_thinking_in_parts_is_text_too(reading, stream):
    thought = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm. "}]}]
    body = stream(chunk({"content": thought}), chunk({"reasoning_content": "So: "}), said("Yes"))
    assert reading(CHAT).reply(body).text() == "Hm. So: Yes"


def test_words_that_look_like_keys_are_words(reading, stream):
    body = stream(
        said('"usage":{"prompt_tokens":99} "finish_reason":"x" "error":{} [DONE] "name"'),
        chunk(finish="stop"),
    )
    facts = reading(CHAT).reply(body)
    assert (facts.usage, facts.error_type, facts.finish_reasons) == (None, None, ("stop",))


def test_half_a_character_in_a_chunk_is_no_error(reading):
    body = (
        b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}\n\n'
        b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    )
    facts = reading(CHAT).reply(body)
    assert (facts.parse_error, facts.finish_reasons) == (None, ("stop",))
    facts.text().encode()


def test_comments_before_the_first_chunk_change_nothing(reading, stream):
    body = b": PROCESSING\n\n" * 50 + stream(said("x"), chunk(finish="stop"))
    assert reading(CHAT).pieces(body).model == "m-1"


# Errors


def test_an_error_in_a_stream_is_an_error(reading, stream):
    error = {"error": {"message": "A tool is required.", "code": "tool_use_failed"}}
    facts = reading(CHAT).reply(stream(said("x"), ("error", error), done=False))
    assert (facts.error_type, facts.error_message) == (
        "tool_use_failed",
        "A tool is required.",
    )


def test_an_error_beside_a_choice_is_an_error(reading, stream):
    last = {**chunk(), "error": {"code": 400, "message": "limit"}, "usage": usage(43, 10)}
    facts = reading(CHAT).reply(stream(said("x"), chunk(finish="length"), last))
    assert (facts.error_type, facts.usage.output_tokens) == ("400", 10)


def test_an_error_labelled_as_a_stream_is_read_as_the_json_it_is(reading):
    body = {"error": {"message": "No.", "type": "invalid_request_error", "code": None}}
    facts = reading(CHAT).reply(body, status=400)
    assert (facts.error_type, facts.error_message) == ("invalid_request_error", "No.")
    assert facts.tool_call_count is None


def test_an_error_in_plain_words_has_a_message_and_no_type(reading):
    facts = reading(CHAT).reply(b"upstream connect error", status=503)
    assert (facts.error_type, facts.error_message) == (None, "upstream connect error")
    assert reading(CHAT).reply(b"", status=500).error_message is None


# Cut copies


def test_a_stream_that_was_cut_reports_what_was_seen(reading, stream):
    body = stream(called(call(0, "look", "", "a")), said("Hel"), said("lo"))
    facts = reading(CHAT).pieces(body[: body.index(b'"lo"')])
    assert (facts.model, facts.tool_names, facts.tool_call_count) == ("m-1", ("look",), None)
    assert (facts.usage, facts.finish_reasons, facts.parse_error) == (None, None, None)
    assert facts.text() == "lookHel"


def test_a_cut_stream_does_not_say_that_there_were_no_calls(reading, stream):
    assert reading(CHAT).pieces(stream(said("x"), done=False)).tool_call_count is None


def test_a_choice_that_ended_does_not_end_the_calls_of_another(reading, stream):
    other = {**called(call(0, "seek", "{}", "b"))}
    other["choices"] = [{**other["choices"][0], "index": 1}]
    events = [called(call(0, "look", "{}", "a")), chunk(finish="tool_calls"), other]
    assert reading(CHAT).pieces(stream(*events[:2], done=False)).tool_call_count == 1
    assert reading(CHAT).pieces(stream(*events, done=False)).tool_call_count is None
    assert reading(CHAT).pieces(stream(*events)).tool_call_count == 2


def test_usage_behind_a_gap_is_read(reading, stream):
    body = stream(said("x"), said("y"), {**chunk(finish="stop"), "usage": usage(9, 2)})
    in_event = body.index(b"y") + 3
    for resume in (in_event, body.rindex(b"ta: {"), body.index(b',"usage"')):
        facts = reading(CHAT).pieces(body[:50], None, body[resume:])
        assert (facts.usage.input_tokens, facts.usage.output_tokens) == (9, 2)
        assert facts.tool_call_count is None


def test_a_whole_answer_with_a_gap_keeps_model_and_usage_and_says_so(reading):
    body = (
        b'{"model": "m-1", "choices": [{"index": 0, "message": {"content": "long'
        b'er"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}'
    )
    cut = body.index(b"er")
    facts = reading(CHAT).pieces(body[:cut], None, body[cut + 1 :])
    assert (facts.model, facts.usage.output_tokens) == ("m-1", 4)
    assert facts.tool_call_count is None
    assert facts.parse_error
