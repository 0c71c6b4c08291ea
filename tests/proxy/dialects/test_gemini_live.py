"""Live sessions of Gemini, from the bytes of their WebSocket."""

import pytest

from proxy.dialects import find
from proxy.facts import ReplyHead, RequestFacts, RequestHead
from tests.support.websocket_traffic import Direction

TARGET = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
VERTEX = "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent"
MODEL = "gemini-live-2.5-flash"
SOUND = {
    "serverContent": {
        "modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm", "data": "AAAA" * 3_000}}]}
    }
}
OPENED = {"setupComplete": {"sessionId": "s-1"}}
CALL = {"toolCall": {"functionCalls": [{"id": "c-1", "name": "look", "args": {"at": "sea"}}]}}


def usage(prompt, response, **more):
    return {
        "promptTokenCount": prompt,
        "responseTokenCount": response,
        "totalTokenCount": prompt + response,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": prompt - 30},
            {"modality": "AUDIO", "tokenCount": 20},
            {"modality": "VIDEO", "tokenCount": 10},
        ],
        "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": response - 2}],
        **more,
    }


def content(used=None, **said):
    return {"serverContent": said} | ({"usageMetadata": used} if used else {})


def ended(used=None, **said):
    return content(used, turnComplete=True, **said)


SESSION = [OPENED, SOUND, CALL, SOUND, ended(usage(100, 20)), SOUND, ended(usage(150, 30))]


def facts_of(*segments, target=TARGET, status=101, asked=MODEL):
    head = RequestHead(provider="gemini", method="GET", target=target)
    dialect, _ = find(head)
    reader = dialect.reply_reader(
        ReplyHead(status=status, request=head, request_facts=RequestFacts(model=asked))
    )
    for number, segment in enumerate(segments):
        if number:
            reader.gap()
        reader.feed(segment)
    return reader.finish()


def heard(*messages, **options):
    return facts_of(Direction().stream(messages), **options)


@pytest.mark.parametrize("target", [TARGET, f"{TARGET}Constrained?access_token=x", VERTEX])
def test_a_session_is_claimed_on_both_services(reading, target):
    assert reading(target, "gemini", "GET").operation == "realtime"


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_other_paths_are_not_claimed(method):
    target = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateMusic"
    assert find(RequestHead(provider="gemini", method=method, target=target)) is None


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize(
    "setup",
    [
        {"model": f"models/{MODEL}", "systemInstruction": {"parts": [{"text": "Be brief."}]}},
        {
            "model": f"projects/p/locations/l/publishers/google/models/{MODEL}",
            "system_instruction": {"parts": [{"text": "Be brief."}]},
        },
    ],
)
def test_the_setup_names_the_model_and_instructs_it(reading, setup, deflated):
    said = [{"role": "user", "parts": [{"text": "Look."}]}]
    body = Direction(masked=True, deflated=deflated).stream(
        [{"setup": setup}, {"clientContent": {"turns": said, "turnComplete": True}}]
    )
    facts = reading(TARGET, "gemini", "GET").request(body)
    assert (facts.model, facts.stream, facts.message_count) == (MODEL, True, 1)
    other = Direction().stream([{"setup": {**setup, "systemInstruction": "Be long."}}])
    assert (
        facts.prompt_fingerprint
        != reading(TARGET, "gemini", "GET").request(other).prompt_fingerprint
    )


def test_turns_that_the_provider_tells_apart_are_not_counted(reading):
    request = reading(TARGET, "gemini", "GET").request
    sound = {"realtimeInput": {"audio": {"mimeType": "audio/pcm", "data": "AAAA"}}}
    assert request(Direction(masked=True).stream([sound])).message_count is None
    apart = [sound, {"realtimeInput": {"activityEnd": {}}}, {"realtimeInput": {"text": "So?"}}]
    assert request(Direction(masked=True).stream(apart)).message_count == 2


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("fragments", [1, 4])
def test_the_usage_of_all_turns_is_added_up(deflated, fragments):
    side = Direction(deflated=deflated)
    facts = facts_of(side.stream(SESSION, fragments) + side.close())
    used = facts.usage
    assert (used.input_tokens, used.output_tokens) == (250, 50)
    assert (used.audio_input_tokens, used.audio_output_tokens) == (40, 46)
    assert used.image_input_tokens == 20
    assert used.raw == {"turns": [usage(100, 20), usage(150, 30)]}
    assert facts.finish_reasons == ("turnComplete", "turnComplete")
    assert (facts.tool_names, facts.tool_call_count) == (("look",), 1)
    assert (facts.response_id, facts.error_type, facts.parse_error) == ("s-1", None, None)


def test_thoughts_are_output_and_tool_results_are_input():
    more = {"thoughtsTokenCount": 5, "toolUsePromptTokenCount": 7, "trafficType": "ON_DEMAND"}
    facts = heard(OPENED, ended(usage(100, 20, **more)))
    used = facts.usage
    assert (used.input_tokens, used.output_tokens, used.reasoning_tokens) == (107, 25, 5)
    assert facts.service_tier == "ON_DEMAND"


def test_usage_may_come_with_anything_or_alone():
    facts = heard(
        OPENED, {**CALL, "usageMetadata": usage(100, 20)}, {"usageMetadata": usage(50, 9)}
    )
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (150, 29)


def test_an_interrupted_turn_ends_once():
    cut = content(interrupted=True)
    assert heard(OPENED, SOUND, cut, ended(usage(100, 20))).finish_reasons == ("interrupted",)
    assert heard(OPENED, SOUND, cut).finish_reasons == ("interrupted",)
    rejected = ended(usage(100, 20), turnCompleteReason="RESPONSE_REJECTED")
    assert heard(OPENED, rejected).finish_reasons == ("RESPONSE_REJECTED",)


@pytest.mark.parametrize(("model", "searches"), [(MODEL, 2), ("gemini-3.1-flash-live", 3)])
def test_searches_are_counted_once_a_turn(model, searches):
    first = content(groundingMetadata={"webSearchQueries": ["a"]})
    again = content(groundingMetadata={"webSearchQueries": ["a", "b"]})
    turns = [first, again, ended(usage(100, 20)), first, ended(usage(150, 30))]
    assert heard(OPENED, *turns, asked=model).usage.web_searches == searches


def test_names_in_snake_case_are_read_too():
    turn = {"server_content": {"turn_complete": True}, "usage_metadata": {"prompt_token_count": 9}}
    facts = heard({"setup_complete": {}}, turn)
    assert (facts.usage.input_tokens, facts.finish_reasons) == (9, ("turnComplete",))


def test_a_cut_session_has_what_was_seen():
    data = Direction().stream(SESSION)
    totals = set()
    for cut in range(0, len(data), 7):
        facts = facts_of(data[:cut])
        assert facts.parse_error is None
        totals.add(facts.usage.input_tokens if facts.usage else None)
    assert totals == {None, 100}


def test_a_session_with_a_gap_has_no_sum():
    data = Direction().stream([*SESSION, *SESSION])
    facts = facts_of(data[: len(data) // 2], data[len(data) // 2 + 9 :])
    assert (facts.usage, facts.tool_call_count) == (None, None)
    assert facts.parse_error == "frames are missing"


def test_a_close_frame_may_be_the_error():
    side = Direction()
    opened = side.stream([OPENED])
    facts = facts_of(opened + side.close(1011, "Deadline expired."))
    assert (facts.error_type, facts.error_message) == ("close_1011", "Deadline expired.")
    assert facts_of(opened + side.close(1000)).error_type is None


def test_a_refused_handshake_is_an_error():
    body = b'{"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "Who?"}}'
    assert facts_of(body, status=403).error_message == "Who?"


def test_messages_that_cannot_be_read_leave_no_sum():
    data = Direction().stream([OPENED, ended(usage(100, 20)), b'{"usageMetadata": {'])
    assert facts_of(data).parse_error == "1 unreadable messages"
    assert facts_of(data).usage is None
