"""Realtime sessions, from the bytes of their WebSocket."""

import pytest

from proxy.dialects import find
from proxy.facts import ReplyHead, RequestFacts, RequestHead
from tests.support.websocket_traffic import Direction

TARGET = "/v1/realtime?model=rt-1"
SOUND = {"type": "response.output_audio.delta", "delta": "AAAA" * 3_000}


def usage(input_tokens, output_tokens):
    return {
        "total_tokens": input_tokens + output_tokens,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "input_token_details": {
            "text_tokens": input_tokens - 8,
            "audio_tokens": 8,
            "cached_tokens": 4,
            "cached_tokens_details": {"text_tokens": 1, "audio_tokens": 3},
        },
        "output_token_details": {"text_tokens": output_tokens - 5, "audio_tokens": 5},
    }


def done(used=None, status="completed", output=(), **details):
    response = {
        "object": "realtime.response",
        "id": "resp-1",
        "status": status,
        "status_details": details or None,
        "output": list(output),
        "usage": used,
    }
    return {"type": "response.done", "event_id": "e-1", "response": response}


def session(transcriber=None, kind="session.created", model="rt-1-dated"):
    audio = {"input": {"transcription": {"model": transcriber} if transcriber else None}}
    return {"type": kind, "session": {"id": "sess-1", "model": model, "audio": audio}}


def transcribed(used):
    kind = "conversation.item.input_audio_transcription.completed"
    return {"type": kind, "transcript": "Hello.", "usage": used}


CALL = {"type": "function_call", "name": "look", "arguments": "{}"}
SESSION = [
    session(),
    SOUND,
    done(usage(100, 20), output=[CALL]),
    SOUND,
    done(usage(150, 30), "cancelled", reason="turn_detected"),
]


def facts_of(*segments, target=TARGET, status=101, asked="rt-1"):
    head = RequestHead(provider="openai", method="GET", target=target)
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


@pytest.mark.parametrize(
    ("target", "model"),
    [
        (TARGET, "rt-1"),
        ("/openai/realtime?api-version=1&deployment=my%20rt", "my rt"),
        ("/v1/realtime?intent=transcription", None),
    ],
)
def test_the_model_is_in_the_query(reading, target, model):
    read = reading(target, method="GET")
    facts = read.request(b"")
    assert (read.operation, facts.model, facts.stream) == ("realtime", model, True)


@pytest.mark.parametrize("path", ["client_secrets", "sessions", "calls"])
def test_the_calls_around_a_session_are_not_claimed(path):
    head = RequestHead(provider="openai", method="POST", target=f"/v1/realtime/{path}")
    assert find(head) is None


def test_the_client_says_what_it_wants(reading):
    body = Direction(masked=True, deflated=True).stream(
        [
            {"type": "session.update", "session": {"model": "rt-2", "instructions": "Be brief."}},
            {"type": "input_audio_buffer.append", "audio": "AAAA"},
            {"type": "input_audio_buffer.commit"},
            {"type": "conversation.item.create", "item": {"type": "message"}},
            {"type": "response.create"},
        ]
    )
    facts = reading("/v1/realtime", method="GET").request(body)
    assert (facts.model, facts.message_count) == ("rt-2", 2)
    assert facts.prompt_fingerprint
    cut = reading("/v1/realtime", method="GET").request(body[:-3])
    assert (cut.message_count, cut.prompt_fingerprint) == (2, facts.prompt_fingerprint)


def test_turns_that_the_provider_tells_apart_are_not_counted(reading):
    sound = [{"type": "input_audio_buffer.append", "audio": "AAAA"}]
    body = Direction(masked=True).stream(sound)
    assert reading(TARGET, method="GET").request(body).message_count is None


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("fragments", [1, 4])
def test_the_usage_of_all_responses_is_added_up(deflated, fragments):
    side = Direction(deflated=deflated)
    data = side.stream(SESSION, fragments) + side.close()
    facts = facts_of(data)
    used = facts.usage
    assert (facts.model, facts.response_id) == ("rt-1-dated", "sess-1")
    assert (used.input_tokens, used.output_tokens) == (250, 50)
    assert (used.audio_input_tokens, used.audio_output_tokens) == (16, 10)
    assert (used.cache_read_tokens, used.cached_audio_input_tokens) == (8, 6)
    assert used.raw == {"responses": [usage(100, 20), usage(150, 30)]}
    assert facts.finish_reasons == ("completed", "turn_detected")
    assert (facts.tool_names, facts.tool_call_count) == (("look",), 1)
    assert (facts.error_type, facts.parse_error) == (None, None)


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
    assert facts.model == "rt-1-dated"


def test_transcription_is_a_pass_of_its_own_model():
    spoken = {"type": "tokens", "input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    used = heard(session("ear-1"), transcribed(spoken), done(usage(100, 20))).usage
    assert (used.input_tokens, used.output_tokens) == (107, 23)
    (part,) = used.passes
    assert (part.model, part.usage.input_tokens) == ("ear-1", 7)


def test_transcription_by_the_minute_is_in_no_count_but_not_forgotten():
    timed = {"type": "duration", "seconds": 4}
    used = heard(session("ear-1"), transcribed(timed), done(usage(100, 20))).usage
    assert (used.input_tokens, used.output_tokens) == (100, 20)
    assert [(part.model, part.usage.input_tokens) for part in used.passes] == [("ear-1", None)]
    assert used.raw["transcriptions"] == [timed]
    alone = heard(session("ear-1", model=None), transcribed(timed), asked=None)
    assert (alone.usage.input_tokens, alone.usage.raw["transcriptions"]) == (None, [timed])


def test_a_session_that_only_transcribes_has_the_transcribing_model():
    spoken = {"type": "tokens", "input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    opened = {
        "type": "transcription_session.created",
        "session": {"input_audio_transcription": {"model": "ear-1"}},
    }
    facts = heard(opened, transcribed(spoken), asked=None)
    assert (facts.model, facts.usage.input_tokens, facts.usage.passes) == ("ear-1", 7, ())


def test_a_transcribing_model_that_was_not_named_is_unknown():
    spoken = {"type": "tokens", "input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    (part,) = heard(transcribed(spoken), done(usage(100, 20))).usage.passes
    assert part.model == "unknown"


ERROR = {"type": "error", "error": {"type": "invalid_request_error", "message": "No."}}


def test_an_error_counts_where_the_session_did_not_outlive_it():
    assert heard(session(), ERROR).error_message == "No."
    assert heard(session(), ERROR, done(usage(100, 20))).error_type is None
    failed = done(None, "failed", error={"type": "server_error", "code": "overloaded"})
    assert heard(session(), failed).error_type == "overloaded"


def test_a_close_frame_may_be_the_error():
    side = Direction()
    opened = side.stream([session()])
    assert facts_of(opened + side.close(1011, "broken")).error_type == "close_1011"
    assert facts_of(opened + side.close(1011, "broken")).error_message == "broken"
    assert facts_of(opened + side.close(1000)).error_type is None


def test_a_refused_handshake_is_an_error():
    body = b'{"error": {"code": "invalid_api_key", "message": "Who?"}}'
    assert facts_of(body, status=401).error_type == "invalid_api_key"


def test_messages_that_cannot_be_read_leave_no_sum():
    data = Direction().stream([session(), done(usage(100, 20)), b'{"type": "response.done", '])
    assert facts_of(data).parse_error == "1 unreadable messages"
    assert facts_of(data).usage is None
