"""Responses: created, streamed, read back, compacted, counted."""

import pytest

RESPONSES = "/v1/responses"
MESSAGE = {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}
USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 14,
}


def response(status="completed", output=(MESSAGE,), usage=USAGE, **others):
    return {
        "id": "r-1",
        "object": "response",
        "model": "m-1",
        "status": status,
        "incomplete_details": None,
        "output": list(output),
        "usage": usage,
        "error": None,
        **others,
    }


def event(kind, **members):
    return (kind, {"type": kind, **members})


# Requests


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("POST", "/openai/v1/responses", "chat"),
        ("POST", "/v1/responses/compact", "compact"),
        ("POST", "/v1/responses/input_tokens", "count_tokens"),
        ("GET", "/v1/responses/r-1", "retrieve"),
        ("POST", "/v1/responses/r-1/cancel", "cancel"),
    ],
)
def test_each_path_has_its_operation(reading, method, path, operation):
    read = reading(path, method=method)
    assert (read.dialect.name, read.operation) == ("openai_responses", operation)


def test_a_request_says_what_it_asks_for(reading):
    facts = reading(RESPONSES).request(
        {
            "model": "m-1",
            "instructions": "Be brief.",
            "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
            "tools": [{"type": "function", "name": "look"}],
            "prompt_cache_key": "k",
            "metadata": {"feature": "search"},
        }
    )
    assert (facts.model, facts.stream, facts.message_count) == ("m-1", False, 1)
    assert facts.labels == {"feature": "search", "session_id": "k"}
    assert facts.prompt_text() == "Be brief.\nHi"
    assert facts.prompt_fingerprint


def test_the_fingerprint_does_not_hang_on_the_input(reading):
    def mark(said):
        return reading(RESPONSES).request({"instructions": "A", "input": said}).prompt_fingerprint

    assert mark("x") == mark("y")
    assert reading(RESPONSES).request({"input": "x"}).prompt_fingerprint is None


def test_reading_back_may_ask_for_a_stream(reading):
    assert reading("/v1/responses/r-1?stream=true", method="GET").request(b"").stream is True
    assert reading("/v1/responses/r-1", method="GET").request(b"").stream is False


# Answers


def test_a_whole_response_is_read(reading):
    facts = reading(RESPONSES).reply(response(service_tier="flex"))
    assert (facts.model, facts.response_id, facts.service_tier) == ("m-1", "r-1", "flex")
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (9, 5)
    assert (facts.usage.cache_read_tokens, facts.usage.cache_write_tokens) == (4, 1)
    assert facts.usage.reasoning_tokens == 2
    assert (facts.finish_reasons, facts.tool_call_count) == (("completed",), 0)
    assert facts.text() == "Hello"


def test_only_calls_that_the_client_runs_are_counted(reading):
    output = [
        {"type": "web_search_call", "action": {"type": "search"}},
        {"type": "web_search_call", "action": {"type": "open_page"}},
        {"type": "function_call", "name": "look", "arguments": "{}"},
        {"type": "custom_tool_call", "name": "draw", "input": "x"},
    ]
    facts = reading(RESPONSES).reply(response(output=output))
    assert facts.tool_call_count == 2
    assert facts.tool_names == ("web_search", "web_search", "look", "draw")
    assert facts.usage.web_searches == 1


def test_a_reported_number_of_searches_wins(reading):
    aside = {"web_search": {"num_requests": 3}}
    facts = reading(RESPONSES).reply(response(tool_usage=aside))
    assert facts.usage.web_searches == 3
    assert facts.usage.raw == {**USAGE, "tool_usage": aside}


def test_an_incomplete_response_says_why(reading):
    details = {"reason": "max_output_tokens"}
    facts = reading(RESPONSES).reply(response("incomplete", incomplete_details=details))
    assert facts.finish_reasons == ("max_output_tokens",)


def test_a_response_in_the_background_has_no_usage_yet(reading):
    queued = response("queued", output=(), usage=None, service_tier="auto")
    facts = reading(RESPONSES).reply(queued)
    assert (facts.usage, facts.finish_reasons, facts.tool_call_count) == (None, None, None)
    assert facts.service_tier is None
    polled = reading("/v1/responses/r-1", method="GET").reply(response())
    assert polled.response_id == facts.response_id == "r-1"
    assert polled.usage.output_tokens == 5


def test_a_failed_response_is_an_error(reading):
    error = {"code": "server_error", "message": "Sorry."}
    facts = reading(RESPONSES).reply(response("failed", output=(), usage=None, error=error))
    assert (facts.error_type, facts.error_message) == ("server_error", "Sorry.")


def test_a_compaction_is_billed_and_a_count_is_not(reading):
    compact = {"id": "r", "object": "response.compaction", "output": [MESSAGE], "usage": USAGE}
    assert reading("/v1/responses/compact").reply(compact).usage.input_tokens == 9
    counted = reading("/v1/responses/input_tokens").reply({"input_tokens": 16})
    assert (counted.usage, counted.tool_call_count) == (None, None)


# Streams


def test_a_stream_is_read_from_its_last_event(reading, stream):
    body = stream(
        event("response.created", response=response("in_progress", output=(), usage=None)),
        event("response.output_text.delta", item_id="i", delta="Hello"),
        event("response.completed", response=response(service_tier="priority")),
        done=False,
    )
    facts = reading(RESPONSES).reply(body)
    assert (facts.model, facts.service_tier) == ("m-1", "priority")
    assert facts.usage.output_tokens == 5
    assert (facts.finish_reasons, facts.tool_call_count) == (("completed",), 0)
    assert facts.text() == "Hello"


def test_a_stream_that_was_cut_reports_what_was_seen(reading, stream):
    item = {"type": "function_call", "name": "look", "arguments": '{"a":1}'}
    body = stream(
        event("response.created", response=response("in_progress", output=(), usage=None)),
        event("response.output_item.done", output_index=0, item=item),
        event("response.output_text.delta", item_id="i", delta="Hel"),
        done=False,
    )
    facts = reading(RESPONSES).reply(body)
    assert (facts.model, facts.response_id) == ("m-1", "r-1")
    assert (facts.tool_names, facts.tool_call_count) == (("look",), None)
    assert (facts.usage, facts.finish_reasons, facts.parse_error) == (None, None, None)
    assert facts.text() == "Hel"


def test_an_error_event_is_an_error(reading, stream):
    body = stream(event("error", code="rate_limit_exceeded", message="Slow down."), done=False)
    facts = reading(RESPONSES).reply(body)
    assert (facts.error_type, facts.error_message) == ("rate_limit_exceeded", "Slow down.")


def test_usage_at_the_end_of_an_event_that_a_gap_cut_is_read(reading, stream):
    done = response(output=[{"type": "message", "content": "x" * 200}])
    done.pop("usage")
    last = {"type": "response.completed", "response": {**done, "usage": USAGE, "user": None}}
    body = stream(
        event("response.created", response=response("in_progress", output=(), usage=None)),
        ("response.completed", last),
        done=False,
    )
    cut = body.index(b"xxx")
    facts = reading(RESPONSES).pieces(body[:cut], None, body[cut + 100 :])
    assert (facts.model, facts.usage.input_tokens) == ("m-1", 9)
    assert facts.tool_call_count is None


def test_what_the_providers_tools_did_is_counted(reading):
    output = [
        {"type": "file_search_call"},
        {"type": "file_search_call"},
        {"type": "code_interpreter_call", "container_id": "c"},
        {"type": "code_interpreter_call", "container_id": "c"},
        {"type": "code_interpreter_call", "container_id": "d"},
        {"type": "image_generation_call"},
        {"type": "function_call", "name": "look"},
    ]
    usage = {"input_tokens": 1, "output_tokens": 1}
    answer = {"status": "completed", "output": output, "usage": usage}
    assert reading("/v1/responses").reply(answer).usage.units == {
        "file_searches": 2,
        "code_containers": 2,
        "generated_images": 1,
    }
