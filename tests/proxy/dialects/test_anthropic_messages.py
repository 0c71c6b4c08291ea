"""Anthropic messages: what they count, what they call, and what a cut leaves certain."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.anthropic_messages import DIALECT
from proxy.facts import ReplyHead, RequestFacts, RequestHead

MESSAGES = "/v1/messages"
START_USAGE = {
    "input_tokens": 10,
    "cache_read_input_tokens": 200,
    "cache_creation_input_tokens": 30,
    "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
    "output_tokens": 1,
    "service_tier": "standard",
}


def start(usage=START_USAGE, content=()):
    message = {"id": "msg_1", "type": "message", "model": "claude-test-1", "role": "assistant"}
    message |= {"content": list(content), "stop_reason": None, "usage": usage}
    return "message_start", {"type": "message_start", "message": message}


def block(index=0, **content):
    event = {"type": "content_block_start", "index": index, "content_block": content}
    return "content_block_start", event


def delta(**added):
    return "content_block_delta", {"type": "content_block_delta", "index": 0, "delta": added}


def end(reason="end_turn", **usage):
    event = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}
    return "message_delta", event


STOP = ("message_stop", {"type": "message_stop"})


def whole(**changes):
    answer = {"id": "msg_1", "type": "message", "model": "claude-test-1", "role": "assistant"}
    answer |= {"content": [{"type": "text", "text": "Certainly."}], "stop_reason": "end_turn"}
    answer |= {"usage": {"input_tokens": 12, "output_tokens": 5}}
    return answer | changes


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/v1/messages", "chat"),
        ("/anthropic/v1/messages/?beta=true", "chat"),
        ("//v1//messages", "chat"),
        ("/v1/messages/count_tokens", "count_tokens"),
        ("/v1/complete", "text_completion"),
        ("/v1/projects/p/locations/l/publishers/anthropic/models/c%405:rawPredict", "chat"),
        ("/v1/p/publishers/anthropic/models/count-tokens:rawPredict", "count_tokens"),
        ("/v1/threads/thread_1/messages", None),
        ("/v1/messages/batches", None),
        ("/v1/publishers/other/models/m:rawPredict", None),
    ],
)
def test_requests_are_claimed_by_their_path(path, operation):
    assert DIALECT.operation(RequestHead(provider="p", method="POST", target=path)) == operation
    assert DIALECT.operation(RequestHead(provider="p", method="GET", target=path)) is None


def test_a_request_says_model_stream_tier_and_messages(reading):
    body = {"model": "m", "stream": True, "service_tier": "auto", "messages": [{}, {}]}
    facts = reading(MESSAGES).request(body)
    assert (facts.model, facts.stream, facts.service_tier) == ("m", True, "auto")
    assert facts.message_count == 2
    assert facts.parse_error is None


def test_on_vertex_the_path_names_the_model_and_the_stream(reading):
    path = "/v1/publishers/anthropic/models/claude-x%4020260101:streamRawPredict"
    facts = reading(path).request({"messages": []})
    assert (facts.model, facts.stream) == ("claude-x@20260101", True)


def test_a_request_without_a_captured_body_claims_nothing(reading):
    facts = reading(MESSAGES).request(b"")
    assert (facts.model, facts.stream, facts.message_count) == (None, None, None)
    assert facts.parse_error is None
    assert facts.prompt_text is None


def test_a_cut_request_says_what_is_certain(reading):
    body = b'{"model": "m", "messages": [{"role": "user", "content": "and so'
    facts = reading(MESSAGES).request(body)
    assert (facts.model, facts.stream, facts.message_count) == ("m", None, None)
    assert facts.parse_error


@pytest.mark.parametrize(
    ("user_id", "labels"),
    [
        ("ana", {"user_id": "ana"}),
        (
            "user_ab12_account_0a-1b_session_12345678-aaaa",
            {"user_id": "user_ab12_account_0a-1b", "session_id": "12345678-aaaa"},
        ),
        (
            '{"device_id": "d", "account_uuid": "a", "session_id": "s"}',
            {"user_id": "a", "session_id": "s"},
        ),
        ("{ana", {"user_id": "{ana"}),
        (7, {}),
    ],
)
def test_the_user_is_a_label_and_so_is_a_session_packed_with_it(reading, user_id, labels):
    assert reading(MESSAGES).request({"metadata": {"user_id": user_id}}).labels == labels


def test_the_fingerprint_knows_system_and_tools_but_not_the_conversation(reading):
    tools = [{"name": "look", "input_schema": {"type": "object"}}]
    body = {"system": "Be brief.", "tools": tools, "messages": [{"content": "a"}]}
    marked = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    read = reading(MESSAGES).request
    same = read(body).prompt_fingerprint
    assert same
    assert read(body | {"messages": [], "system": marked}).prompt_fingerprint == same
    assert read(body | {"system": "Be long."}).prompt_fingerprint != same
    assert read({"messages": []}).prompt_fingerprint is None


def test_the_prompt_text_has_all_words_and_no_images(reading):
    image = {"type": "image", "source": {"type": "base64", "data": "QUJD"}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "seven"}
    messages = [{"role": "user", "content": ["first", image, result]}]
    text = reading(MESSAGES).request({"system": "zeroth", "messages": messages}).prompt_text
    assert text
    assert text().split() == ["zeroth", "first", "seven"]


def test_input_includes_cache_reads_and_writes(reading):
    facts = reading(MESSAGES).reply(whole(usage=START_USAGE | {"output_tokens": 50}))
    assert facts.usage
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (240, 50)
    assert (facts.usage.cache_read_tokens, facts.usage.cache_write_tokens) == (200, 30)
    assert facts.usage.cache_write_1h_tokens == 10
    assert facts.service_tier == "standard"


def test_classes_that_are_not_reported_are_unknown(reading):
    usage = reading(MESSAGES).reply(whole()).usage
    assert (usage.input_tokens, usage.output_tokens) == (12, 5)
    unknown = (usage.cache_read_tokens, usage.cache_write_tokens, usage.reasoning_tokens)
    assert (*unknown, usage.web_searches, usage.cost_usd) == (None,) * 5


def test_thinking_and_searches_are_read_where_reported(reading):
    reported = {"input_tokens": 1, "output_tokens": 9}
    reported |= {"output_tokens_details": {"thinking_tokens": 4}}
    reported |= {"server_tool_use": {"web_search_requests": 2}}
    usage = reading(MESSAGES).reply(whole(usage=reported)).usage
    assert (usage.reasoning_tokens, usage.web_searches) == (4, 2)


def test_the_end_of_a_stream_replaces_counts_field_by_field(reading, stream):
    body = stream(start(), delta(text="Hi"), end(output_tokens=40), STOP, done=False)
    facts = reading(MESSAGES).reply(body)
    assert (facts.model, facts.response_id, facts.parse_error) == ("claude-test-1", "msg_1", None)
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (240, 40)
    assert facts.usage.cache_write_1h_tokens == 10
    assert facts.finish_reasons == ("end_turn",)
    assert (facts.tool_names, facts.tool_call_count) == ((), 0)
    assert facts.text() == "Hi"


def test_server_tools_may_change_the_input_at_the_end(reading, stream):
    search = block(type="server_tool_use", name="web_search", id="s1")
    final = end(input_tokens=900, cache_creation_input_tokens=0, output_tokens=7)
    facts = reading(MESSAGES).reply(stream(start(), search, final, STOP, end=b"\r\n", done=False))
    assert (facts.usage.input_tokens, facts.usage.cache_write_tokens) == (1100, 0)
    assert facts.usage.cache_write_1h_tokens is None  # the split is of the beginning
    assert facts.tool_call_count == 0


def test_null_counts_at_the_end_replace_nothing(reading, stream):
    body = stream(start(), end(input_tokens=None, output_tokens=3), STOP, done=False)
    assert reading(MESSAGES).reply(body).usage.input_tokens == 240


def test_a_cut_stream_keeps_its_input_but_not_the_start_value_of_its_output(reading, stream):
    facts = reading(MESSAGES).reply(stream(start(), delta(text="Well"), done=False))
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (240, None)
    assert (facts.parse_error, facts.finish_reasons, facts.tool_call_count) == (None, None, None)
    assert facts.text() == "Well"


def test_a_stream_cut_while_the_provider_runs_tools_has_no_counts(reading, stream):
    search = block(type="server_tool_use", name="web_search", id="s1")
    assert reading(MESSAGES).reply(stream(start(), search, done=False)).usage is None


def test_a_placeholder_of_zero_input_is_unknown_until_the_end(reading, stream):
    opening = start({"input_tokens": 0, "output_tokens": 0})
    read = reading(MESSAGES).reply
    assert read(stream(opening, done=False)).usage is None
    final = stream(opening, end(input_tokens=8, output_tokens=2), done=False)
    assert read(final).usage.input_tokens == 8


def test_iterations_that_the_top_level_leaves_out_are_added(reading):
    parts = [
        {"type": "message", "input_tokens": 60, "output_tokens": 8},
        {"type": "advisor_message", "model": "other", "input_tokens": 500, "output_tokens": 20},
        {"type": "message", "input_tokens": 40, "output_tokens": 2},
    ]
    usage = {"input_tokens": 100, "output_tokens": 10, "iterations": parts}
    facts = reading(MESSAGES).reply(whole(usage=usage))
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (600, 30)
    [elsewhere] = facts.usage.passes
    assert (elsewhere.model, elsewhere.usage.input_tokens) == ("other", 500)


def test_a_compaction_is_added_where_only_it_is_listed(reading):
    parts = [{"type": "compaction", "input_tokens": 900, "output_tokens": 50}]
    usage = {"input_tokens": 1000, "output_tokens": 10, "iterations": parts}
    facts = reading(MESSAGES).reply(whole(usage=usage))
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (1900, 60)
    assert facts.usage.passes == ()


def test_iterations_that_the_top_level_counts_add_nothing(reading):
    parts = [{"type": "message", "input_tokens": 12, "output_tokens": 5}]
    usage = {"input_tokens": 12, "output_tokens": 5, "iterations": parts}
    facts = reading(MESSAGES).reply(whole(usage=usage))
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (12, 5)


def test_a_cost_that_a_gateway_states_is_read(reading):
    stated = {"input_tokens": 1, "output_tokens": 1, "cost": 0.25}
    assert reading(MESSAGES).reply(whole(usage=stated)).usage.cost_usd == Decimal("0.25")
    own_key = stated | {"cost": 0, "cost_details": {"upstream_inference_cost": 0.5}}
    assert reading(MESSAGES).reply(whole(usage=own_key)).usage.cost_usd == Decimal("0.5")


def test_only_calls_that_the_client_runs_are_counted(reading, stream):
    calls = [
        {"type": "tool_use", "name": "look", "id": "1", "input": {"where": "here"}},
        {"type": "server_tool_use", "name": "web_search", "id": "2", "input": {}},
        {"type": "tool_use", "name": "go", "id": "3", "input": {}},
    ]
    facts = reading(MESSAGES).reply(whole(content=calls, stop_reason="tool_use"))
    assert (facts.tool_names, facts.tool_call_count) == (("look", "go"), 2)
    events = [start(), *(block(**call) for call in calls), end("tool_use", output_tokens=1), STOP]
    streamed = reading(MESSAGES).reply(stream(*events, done=False))
    assert (streamed.tool_names, streamed.tool_call_count) == (("look", "go"), 2)


@pytest.mark.parametrize("reason", ["refusal", "pause_turn", "max_tokens"])
def test_the_stop_reason_is_the_providers_word(reading, reason):
    assert reading(MESSAGES).reply(whole(stop_reason=reason)).finish_reasons == (reason,)


def test_an_error_may_end_a_stream_that_began_well(reading, stream):
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    facts = reading(MESSAGES).reply(stream(start(), ("error", error), done=False))
    assert (facts.error_type, facts.error_message) == ("overloaded_error", "Overloaded")
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (240, None)


@pytest.mark.parametrize(
    ("body", "error_type", "message"),
    [
        ({"type": "error", "error": {"type": "x_error", "message": "No."}}, "x_error", "No."),
        ([{"error": {"code": 404, "status": "NOT_FOUND", "message": "m"}}], "NOT_FOUND", "m"),
        (b"upstream is busy", None, "upstream is busy"),
        (b'event: error\ndata: {"error": {"type": "t", "message": "m"}}\n\n', "t", "m"),
        (b"", None, None),
    ],
)
def test_refusals_are_read_in_every_shape(reading, body, error_type, message):
    facts = reading(MESSAGES).reply(body, status=529)
    assert (facts.error_type, facts.error_message) == (error_type, message)
    assert (facts.usage, facts.tool_call_count, facts.parse_error) == (None, None, None)


def test_counting_tokens_uses_none(reading):
    facts = reading("/v1/messages/count_tokens").reply({"input_tokens": 14})
    assert facts.usage is None
    assert facts.tool_call_count is None


def test_an_older_completion_has_a_reason_and_no_counts(reading, stream):
    answer = {"type": "completion", "id": "c", "model": "old", "stop_reason": "stop_sequence"}
    answer |= {"completion": " Hello!"}
    for body in (answer, stream(("completion", answer), done=False)):
        facts = reading("/v1/complete").reply(body)
        assert (facts.model, facts.finish_reasons) == ("old", ("stop_sequence",))
        assert (facts.usage, facts.tool_call_count) == (None, None)
        assert facts.text() == " Hello!"


def test_behind_a_gap_a_stream_still_tells_its_usage_but_not_its_calls(reading, stream):
    body = stream(start(), *[delta(text="x" * 40)] * 9, end(output_tokens=77), STOP, done=False)
    facts = reading(MESSAGES).pieces(body[:700], None, body[-300:])
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (240, 77)
    assert (facts.finish_reasons, facts.tool_call_count) == (("end_turn",), None)
    assert facts.parse_error is None


def test_behind_a_gap_a_whole_answer_still_tells_its_usage(reading):
    answer = json.dumps(whole(content=[{"type": "text", "text": '{"usage": "' * 90}])).encode()
    facts = reading(MESSAGES).pieces(answer[:200], None, answer[-200:])
    assert (facts.model, facts.usage.output_tokens) == ("claude-test-1", 5)
    assert facts.parse_error
    assert facts.tool_call_count is None


def test_a_tools_input_named_like_usage_is_no_usage(reading):
    call = {"type": "tool_use", "name": "n", "input": {"usage": {"output_tokens": 9}}}
    answer = json.dumps(whole(content=[call])).encode()
    cut = answer[: answer.index(b'"stop_reason"')]
    assert reading(MESSAGES).pieces(cut).usage is None


def test_an_event_that_is_no_json_is_reported_and_reading_goes_on(reading, stream):
    good = stream(start(), done=False)
    body = good + b"data: {nonsense\n\n" + stream(end(output_tokens=4), STOP, done=False)
    facts = reading(MESSAGES).reply(body)
    assert facts.usage.output_tokens == 4
    assert "1 events" in facts.parse_error


def test_a_page_of_html_is_neither(reading):
    facts = reading(MESSAGES).reply(b"<html>Welcome</html>")
    assert facts.parse_error
    assert facts.usage is None


def test_a_done_mark_as_gateways_add_it_is_no_fault(reading, stream):
    assert reading(MESSAGES).reply(stream(start(), end(output_tokens=1), STOP)).parse_error is None


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=60) | st.none(), max_size=6), st.sampled_from([200, 500]))
def test_no_bytes_make_it_raise(pieces, status):
    head = RequestHead(provider="p", method="POST", target=MESSAGES)
    reader = DIALECT.reply_reader(
        ReplyHead(status=status, request=head, request_facts=RequestFacts())
    )
    for piece in pieces:
        reader.gap() if piece is None else reader.feed(piece)
    facts = reader.finish()
    assert facts.usage is None
    assert "reader failed" not in (facts.parse_error or "")
    for piece in pieces:
        DIALECT.read_request(head, piece or b"")
