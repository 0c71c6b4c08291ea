"""Gemini's interactions: created, streamed, polled, resumed, cancelled, in both revisions."""

import orjson
import pytest

from proxy.dialects import find
from proxy.facts import RequestHead

CREATE = "/v1beta/interactions"
ON_VERTEX = "/v1beta1/projects/p/locations/global/interactions"
MODEL = "gemini-3-flash-preview"
USAGE = {
    "total_tokens": 182,
    "total_input_tokens": 100,
    "input_tokens_by_modality": [
        {"modality": "text", "tokens": 60},
        {"modality": "audio", "tokens": 30},
        {"modality": "image", "tokens": 10},
    ],
    "total_cached_tokens": 40,
    "cached_tokens_by_modality": [{"modality": "audio", "tokens": 20}],
    "total_tool_use_tokens": 12,
    "total_output_tokens": 50,
    "output_tokens_by_modality": [{"modality": "image", "tokens": 45}],
    "total_thought_tokens": 20,
}
THOUGHT = {"type": "thought", "signature": "c2ln", "summary": [{"type": "text", "text": "Hm."}]}
WORDS = {"type": "model_output", "content": [{"type": "text", "text": "Hello"}]}
CALL = {"type": "function_call", "id": "f-1", "name": "look", "arguments": {"at": "sea"}}
RESULT = {"type": "function_result", "call_id": "f-1", "result": "blue"}
SEARCH = {"type": "google_search_call", "id": "s-1", "arguments": {"queries": ["a", "b"]}}
FOUND = {"type": "google_search_result", "call_id": "s-1", "result": [{"title": "no words"}]}


def interaction(*steps, status="completed", **others):
    return {
        "id": "v1_i",
        "object": "interaction",
        "model": MODEL,
        "status": status,
        "usage": USAGE,
        "steps": list(steps),
        **others,
    }


def event(kind, **members):
    return (kind, {**members, "event_type": kind})


def created(**others):
    return event("interaction.created", interaction=head(**others))


def head(**others):
    return {"id": "v1_i", "status": "in_progress", "object": "interaction", **others}


def completed(status="completed", usage=USAGE, **others):
    said = {"id": "v1_i", "status": status, "usage": usage, "service_tier": "standard"}
    return event("interaction.completed", interaction=said | {"model": MODEL} | others)


def begins(index, step):
    return event("step.start", index=index, step=step)


def adds(index, **delta):
    return event("step.delta", index=index, delta=delta)


UPDATE = event("interaction.status_update", interaction_id="v1_i", status="in_progress")
STREAM = (
    created(model=MODEL),
    UPDATE,
    begins(0, {"type": "thought"}),
    adds(0, type="thought_summary", content={"type": "text", "text": "Hm. "}),
    adds(0, type="thought_signature", signature="c2ln"),
    event("step.stop", index=0),
    begins(1, {"type": "google_search_call", "id": "s-1"}),
    adds(1, type="google_search_call", arguments={"queries": ["a", "b"]}),
    begins(2, {"type": "google_search_result", "call_id": "s-1"}),
    adds(2, type="google_search_result", result=[{"title": "no words"}]),
    begins(3, {"type": "model_output"}),
    adds(3, type="text", text="Hel"),
    adds(3, type="text", text='lo \\"interaction"'),
    begins(4, {"type": "function_call", "id": "f-1", "name": "look", "arguments": {}}),
    adds(4, type="arguments_delta", arguments='{"at":"sea"}'),
    event("step.stop", index=4),
    completed("requires_action"),
)


# Requests


@pytest.mark.parametrize("base", [CREATE, "/v1/interactions", "/a/prefix" + CREATE, ON_VERTEX])
def test_each_path_has_its_operation(reading, base):
    for method, path, operation in (
        ("POST", base, "generate_content"),
        ("POST", base + "?alt=sse", "generate_content"),
        ("GET", base + "/v1_i?stream=true&last_event_id=e-7", "retrieve"),
        ("POST", base + "/v1_i/cancel", "cancel"),
        ("DELETE", base + "/v1_i", "delete"),
    ):
        read = reading(path, "gemini", method)
        assert (read.dialect.name, read.operation) == ("gemini_interactions", operation)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", CREATE),
        ("POST", CREATE + "/v1_i"),
        ("POST", CREATE + "/cancel"),
        ("GET", CREATE + "/v1_i/steps"),
        ("GET", CREATE + "/v1_i/cancel"),
        ("POST", "/users/interactions"),
    ],
)
def test_other_paths_are_not_claimed(method, path):
    assert find(RequestHead(provider="gemini", method=method, target=path)) is None


def test_a_request_says_what_it_asks_for(reading):
    tools = [{"type": "google_search"}, {"type": "function", "name": "look"}]
    facts = reading(CREATE).request(
        {
            "model": "models/" + MODEL,
            "system_instruction": "Be brief.",
            "input": [
                {"type": "text", "text": "What is it?"},
                {"type": "image", "data": "AAAA", "mime_type": "image/png"},
            ],
            "tools": tools,
            "service_tier": "flex",
            "stream": True,
            "labels": {"team": "search"},
        }
    )
    assert (facts.model, facts.stream, facts.service_tier) == (MODEL, True, "flex")
    assert facts.labels == {"tags.team": "search"}
    text = facts.prompt_text()
    assert text.startswith("Be brief.\nWhat is it?")
    assert "google_search" in text
    assert "AAAA" not in text
    assert "image/png" not in text


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ("Hi", 1),
        ({"type": "text", "text": "Hi"}, 1),
        ([{"type": "text", "text": "Hi"}, {"type": "image", "uri": "x"}], 1),
        ([{"type": "user_input", "content": []}, WORDS, {"type": "user_input"}], 3),
        ([{"role": "user", "content": "Hi"}, {"role": "model", "content": "Ho"}], 2),
        ([CALL, RESULT], 2),
        ([{"type": ["text"]}], 1),
        ([], 0),
        (None, None),
    ],
)
def test_messages_are_steps_or_turns_and_parts_are_one_message(reading, given, count):
    assert reading(CREATE).request({"input": given}).message_count == count


def test_the_fingerprint_is_that_of_instruction_and_tools(reading):
    def mark(**asked):
        return reading(CREATE).request({"system_instruction": "A", **asked}).prompt_fingerprint

    assert mark(input="x") == mark(input="y", previous_interaction_id="v1_h")
    assert mark(input="x") != mark(input="x", tools=[{"type": "google_search"}])
    assert reading(CREATE).request({"input": "x"}).prompt_fingerprint is None


def test_an_agent_stands_where_no_model_is_named(reading):
    facts = reading(CREATE).request({"agent": "deep-research-preview-04-2026", "background": True})
    assert (facts.model, facts.stream) == ("deep-research-preview-04-2026", False)


def test_reading_back_may_ask_for_a_stream(reading):
    path = CREATE + "/v1_i"
    assert reading(path + "?stream=true", method="GET").request(b"").stream is True
    assert reading(path + "?stream=false", method="GET").request(b"").stream is False


def test_a_cut_request_does_not_say_whether_it_streams(reading):
    facts = reading(CREATE).request(b'{"model": "m-1", "input": "a long')
    assert (facts.model, facts.stream) == ("m-1", None)
    assert facts.parse_error


# Answers


def test_a_whole_interaction_is_read(reading):
    facts = reading(CREATE).reply(interaction(THOUGHT, WORDS, service_tier="flex"))
    assert (facts.model, facts.response_id, facts.service_tier) == (MODEL, "v1_i", "flex")
    used = facts.usage
    assert (used.input_tokens, used.output_tokens) == (112, 70)
    assert (used.cache_read_tokens, used.reasoning_tokens) == (40, 20)
    assert (used.audio_input_tokens, used.cached_audio_input_tokens) == (30, 20)
    assert (used.image_input_tokens, used.image_output_tokens) == (10, 45)
    assert used.raw == USAGE
    assert (used.web_searches, used.units) == (None, {})
    assert (facts.finish_reasons, facts.tool_names) == (("completed",), ())
    assert (facts.tool_call_count, facts.error_type) == (0, None)
    assert facts.text() == "Hm.\nHello"


def test_a_stream_says_what_the_whole_interaction_says(reading, stream):
    data = stream(*STREAM, end=b"\r\n")
    facts = reading(CREATE).reply(data)
    whole = reading(CREATE).reply(
        interaction(THOUGHT, SEARCH, FOUND, WORDS, CALL, status="requires_action")
    )
    for name in ("model", "response_id", "finish_reasons", "tool_names", "usage", "error_type"):
        assert getattr(facts, name) == getattr(whole, name), name
    assert facts.tool_call_count == whole.tool_call_count == 1
    assert facts.finish_reasons == ("requires_action",)
    assert facts.tool_names == ("google_search", "look")
    assert facts.usage.web_searches == 2
    assert facts.service_tier == "standard"
    assert facts.parse_error is None
    assert facts.text() == 'Hm. abHello \\"interaction"look{"at":"sea"}'.replace(
        "ab", '{"queries": ["a", "b"]}'
    )


def test_steps_in_the_last_event_of_a_stream_count_as_well(reading, stream):
    data = stream(created(), completed(steps=[SEARCH, CALL]))
    facts = reading(CREATE).pieces(data)
    assert (facts.tool_names, facts.tool_call_count) == (("google_search", "look"), 1)


def test_an_older_stream_of_contents_is_read(reading, stream):
    data = stream(
        event("interaction.start", interaction=head(model=MODEL)),
        event("content.start", index=0, content={"type": "text"}),
        event("content.delta", index=0, delta={"type": "text", "text": "Hello"}),
        event("content.stop", index=0),
        event("content.start", index=1, content={"type": "function_call"}),
        event("content.delta", index=1, delta=CALL),
        event("interaction.complete", interaction=head(usage=USAGE, status="requires_action")),
    )
    facts = reading(CREATE).reply(data)
    assert (facts.tool_names, facts.tool_call_count) == (("look",), 1)
    assert (facts.usage.input_tokens, facts.finish_reasons) == (112, ("requires_action",))
    assert facts.text() == 'Hellolook{"at": "sea"}'


def test_the_older_outputs_are_read(reading):
    said = interaction(outputs=[{"type": "text", "text": "Hello"}, CALL])
    del said["steps"]
    facts = reading(CREATE).reply(said)
    assert (facts.tool_names, facts.tool_call_count) == (("look",), 1)
    assert facts.text() == 'Hello\nlook{"at": "sea"}'


def test_members_that_lie_flat_in_the_events_are_read(reading, stream):
    data = stream(
        event("interaction.start", id="v1_i", model=MODEL, status="in_progress"),
        event("interaction.complete", id="v1_i", model=MODEL, status="completed", usage=USAGE),
    )
    facts = reading(CREATE).reply(data)
    assert (facts.response_id, facts.model) == ("v1_i", MODEL)
    assert (facts.usage.input_tokens, facts.finish_reasons) == (112, ("completed",))


# In the background


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_one_that_goes_on_has_no_usage_yet(reading, status):
    facts = reading(CREATE + "/v1_i", method="GET").reply(interaction(CALL, status=status))
    assert (facts.response_id, facts.usage, facts.finish_reasons) == ("v1_i", None, None)
    assert (facts.tool_names, facts.tool_call_count) == (("look",), None)


def test_a_poll_that_finds_the_end_has_the_usage(reading):
    asked = {"type": "user_input", "content": [{"type": "text", "text": "Look."}]}
    earlier = [CALL, RESULT, asked]
    said = interaction(*earlier, SEARCH, WORDS, input="Look.")
    facts = reading(CREATE + "/v1_i?include_input=true", method="GET").reply(said)
    assert (facts.response_id, facts.usage.output_tokens) == ("v1_i", 70)
    assert (facts.tool_names, facts.tool_call_count) == (("google_search",), 0)
    assert "Look" not in facts.text()


def test_a_stream_taken_up_again_has_the_usage_but_not_all_calls(reading, stream):
    data = stream(*STREAM[-3:])
    facts = reading(CREATE + "/v1_i?stream=true&last_event_id=e", method="GET").reply(data)
    assert (facts.response_id, facts.usage.output_tokens) == ("v1_i", 70)
    assert facts.tool_call_count is None


def test_a_stream_that_only_tells_of_its_status_may_end_so(reading, stream):
    over = event("interaction.status_update", interaction_id="v1_i", status="cancelled")
    facts = reading(CREATE).reply(stream(created(model=MODEL), over))
    assert (facts.response_id, facts.finish_reasons) == ("v1_i", ("cancelled",))
    assert facts.usage is None


def test_deleting_says_nothing(reading):
    assert reading(CREATE + "/v1_i", method="DELETE").pieces(b"").usage is None


def test_an_agent_has_answered_its_own_calls(reading):
    said = interaction(CALL, RESULT, {**CALL, "id": "f-2"}, agent="antigravity-preview-05-2026")
    del said["model"]
    facts = reading(CREATE).pieces(orjson.dumps(said))
    assert facts.model == "antigravity-preview-05-2026"
    assert (facts.tool_names, facts.tool_call_count) == (("look", "look"), 1)


# Searches


@pytest.mark.parametrize(("model", "billed"), [(MODEL, 3), ("gemini-2.5-flash", 1)])
def test_the_searches_that_are_counted_win_over_those_that_are_seen(reading, model, billed):
    counts = [{"type": "google_search", "count": 3}, {"type": "google_maps", "count": 2}]
    usage = {**USAGE, "grounding_tool_count": counts}
    facts = reading(CREATE).reply(interaction(SEARCH, WORDS, model=model, usage=usage))
    assert facts.usage.web_searches == billed
    assert facts.usage.units == {"map_searches": 2}


def test_what_reads_films_is_no_tool_and_a_server_of_tools_is_named(reading):
    remote = {"type": "mcp_server_tool_call", "id": "m", "name": "find", "server_name": "s"}
    facts = reading(CREATE).reply(interaction({"type": "processing_call", "id": "p"}, remote))
    assert (facts.tool_names, facts.tool_call_count) == (("find",), 0)


# Errors


def test_an_error_in_a_stream_is_told(reading, stream):
    error = {"message": "The model is overloaded.", "code": "unavailable"}
    facts = reading(CREATE).reply(stream(*STREAM[:6], event("error", error=error)))
    assert (facts.error_type, facts.error_message) == ("unavailable", "The model is overloaded.")
    assert (facts.usage, facts.finish_reasons) == (None, None)


def test_an_interaction_that_failed_says_why(reading):
    errors = [{"code": "internal", "message": "It broke."}]
    facts = reading(CREATE).reply(interaction(status="failed", errors=errors))
    assert (facts.error_type, facts.error_message) == ("internal", "It broke.")
    assert facts.usage.input_tokens == 112
    assert reading(CREATE).reply(interaction(status="failed")).error_type == "failed"
    broken = {**WORDS, "error": {"code": 13, "message": "No picture."}}
    assert reading(CREATE).reply(interaction(broken)).error_message == "No picture."


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ({"error": {"code": 404, "message": "No.", "status": "NOT_FOUND"}}, "NOT_FOUND", "No."),
        ({"error": {"code": "content_blocked", "message": "No."}}, "content_blocked", "No."),
        (b"upstream fell over", None, "upstream fell over"),
    ],
)
def test_a_refusal_is_told(reading, body, kind, message):
    facts = reading(CREATE).reply(body, status=400)
    assert (facts.error_type, facts.error_message, facts.usage) == (kind, message, None)


# Cut


def test_a_cut_stream_has_no_number_that_its_bytes_do_not_support(reading, stream):
    data = stream(*STREAM, done=False)
    whole = reading(CREATE).pieces(data)
    for cut in range(len(data)):
        facts = reading(CREATE).pieces(data[:cut])
        assert facts.usage in (None, whole.usage)
        assert facts.tool_call_count in (None, 1)
        if cut < len(data) - 3:
            assert facts.usage is None
        assert facts.parse_error is None or cut < 40


def test_a_stream_with_a_gap_keeps_the_usage_that_its_end_has(reading, stream):
    data = stream(*STREAM)
    for resume in (data.index(b',"usage"'), data.index(b'"step.delta"'), data.index(b'"id":"f-1"')):
        facts = reading(CREATE).pieces(data[:90], None, data[resume:])
        assert facts.usage is not None, data[resume:][:30]
        assert (facts.usage.input_tokens, facts.usage.output_tokens) == (112, 70)
        assert facts.tool_call_count is None
    late = data.index(b'"total_thought_tokens"')
    assert reading(CREATE).pieces(data[:90], None, data[late:]).usage is None


def test_a_cut_interaction_keeps_what_is_certain(reading):
    data = orjson.dumps(interaction(THOUGHT, WORDS, CALL))
    cut = data.index(b'"steps"') + 20
    facts = reading(CREATE).pieces(data[:cut])
    assert (facts.model, facts.usage.input_tokens) == (MODEL, 112)
    assert (facts.tool_names, facts.tool_call_count) == (None, None)
    assert facts.parse_error
    before_status = data.index(b'"status"')
    assert reading(CREATE).pieces(data[:before_status]).finish_reasons is None
