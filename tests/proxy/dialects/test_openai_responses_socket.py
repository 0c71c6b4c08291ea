"""Responses created on a WebSocket."""

import pytest

from proxy.dialects import find
from proxy.facts import ReplyHead, RequestFacts, RequestHead
from tests.support.websocket_traffic import Direction

TARGET = "/v1/responses"
ERROR = {"type": "error", "status": 400, "error": {"code": "gone", "message": "No such response."}}
CALL = {"type": "function_call", "name": "look", "arguments": "{}"}


def used(input_tokens, output_tokens):
    total = input_tokens + output_tokens
    details = {"cached_tokens": 2}
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": details,
        "output_tokens": output_tokens,
        "total_tokens": total,
    }


def events(number, usage, status="completed", model="m-1", output=()):
    base = {"id": f"r-{number}", "object": "response", "model": model, "error": None}
    opened = {**base, "status": "in_progress", "output": [], "usage": None}
    closed = {**base, "status": status, "output": list(output), "usage": usage}
    closed |= {"service_tier": "priority", "incomplete_details": None}
    return [
        {"type": "response.created", "response": opened},
        {"type": "response.output_text.delta", "delta": 'say "response.completed"'},
        {"type": f"response.{status}", "response": closed},
    ]


def facts_of(*segments, status=101):
    head = RequestHead(provider="openai", method="GET", target=TARGET)
    dialect, operation = find(head)
    assert (dialect.name, operation) == ("openai_responses", "chat")
    reader = dialect.reply_reader(
        ReplyHead(status=status, request=head, request_facts=RequestFacts())
    )
    for number, segment in enumerate(segments):
        if number:
            reader.gap()
        reader.feed(segment)
    return reader.finish()


def heard(*messages):
    return facts_of(Direction(deflated=True).stream(messages, 2))


@pytest.mark.parametrize("nested", [False, True])
def test_the_first_request_says_what_is_asked(reading, nested):
    asked = {"model": "m-1", "instructions": "Be brief.", "input": [{"role": "user"}]}
    first = {"type": "response.create", **({"response": asked} if nested else asked)}
    body = Direction(masked=True, deflated=True).stream([first, first])
    facts = reading(TARGET, method="GET").request(body)
    assert (facts.model, facts.stream, facts.message_count) == ("m-1", True, 1)
    assert facts.prompt_fingerprint
    assert reading(TARGET, method="GET").request(b"").model is None


def test_one_response_is_read_as_over_http():
    facts = heard(*events(1, used(10, 5), output=[CALL]))
    assert (facts.model, facts.response_id, facts.service_tier) == ("m-1", "r-1", "priority")
    assert (facts.usage.input_tokens, facts.usage.cache_read_tokens) == (10, 2)
    assert facts.usage.raw == used(10, 5)
    assert (facts.tool_names, facts.tool_call_count) == (("look",), 1)
    assert facts.finish_reasons == ("completed",)


def test_one_that_was_cut_or_was_not_alone_but_refused_has_its_id():
    assert heard(*events(1, None)[:2]).response_id == "r-1"
    assert heard(*events(1, used(10, 5)), ERROR).response_id == "r-1"
    assert heard(*events(1, used(10, 5)), *events(2, None)[:2]).response_id is None


def test_several_are_added_up():
    facts = heard(
        *events(1, used(10, 5)), *events(2, used(20, 6)), *events(3, used(1, 1), model="x")
    )
    assert (facts.model, facts.response_id, facts.service_tier) == ("m-1", None, "priority")
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (31, 12)
    assert [(part.model, part.usage.input_tokens) for part in facts.usage.passes] == [("x", 1)]
    assert facts.finish_reasons == ("completed",) * 3
    assert facts.tool_call_count == 0


def test_a_cut_session_has_what_was_complete():
    data = Direction().stream([*events(1, used(10, 5)), *events(2, used(20, 6))])
    seen = [facts_of(data[:cut]).usage for cut in range(0, len(data), 5)]
    assert {usage.input_tokens if usage else None for usage in seen} == {None, 10}


def test_a_session_with_a_gap_has_no_sum():
    data = Direction().stream([*events(1, used(10, 5)), *events(2, used(20, 6))])
    facts = facts_of(data[:600], data[620:])
    assert (facts.usage, facts.parse_error) == (None, "frames are missing")


def test_an_error_counts_where_it_was_the_last_word():
    assert heard(ERROR).error_type == "gone"
    assert heard(ERROR, *events(1, used(10, 5))).error_type is None
    assert heard(*events(1, used(10, 5)), ERROR).error_message == "No such response."
    assert heard(*events(1, used(10, 5), "failed")).error_type == "failed"


def test_a_refused_handshake_is_an_error():
    assert facts_of(b'{"error": {"code": "nope"}}', status=401).error_type == "nope"
