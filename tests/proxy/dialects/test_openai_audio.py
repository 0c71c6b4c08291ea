"""Sound to text and text to sound."""

import pytest

from proxy.dialects import find
from proxy.facts import ReplyHead, RequestFacts, RequestHead

HEAR, SAY = "/v1/audio/transcriptions", "/v1/audio/speech"
USAGE = {
    "type": "tokens",
    "input_tokens": 26,
    "input_token_details": {"text_tokens": 5, "audio_tokens": 21},
    "output_tokens": 4,
    "total_tokens": 30,
}


def answer(target, body, kind, status=200):
    head = RequestHead(provider="openai", method="POST", target=target)
    dialect, _ = find(head)
    reader = dialect.reply_reader(
        ReplyHead(
            status=status,
            headers={"content-type": kind},
            request=head,
            request_facts=RequestFacts(),
        )
    )
    reader.feed(body)
    return reader.finish()


@pytest.mark.parametrize(
    ("path", "operation"),
    [(HEAR, "transcription"), ("/v1/audio/translations", "translation"), (SAY, "speech")],
)
def test_each_path_has_its_operation(reading, path, operation):
    assert reading(path).operation == operation


def test_a_form_says_what_it_asks_for(reading):
    fields = {"model": "ear-1", "stream": "true"}
    form = b"".join(
        b'--e\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (k.encode(), v.encode())
        for k, v in fields.items()
    )
    facts = reading(HEAR).request(form + b"--e--\r\n")
    assert (facts.model, facts.stream, facts.parse_error) == ("ear-1", True, None)
    assert reading(HEAR).request(form[:50]).parse_error


def test_speech_is_a_stream_where_it_comes_as_events(reading):
    assert reading(SAY).request({"model": "t", "stream_format": "sse"}).stream is True
    assert reading(SAY).request({"model": "t"}).stream is False


def test_transcription_is_billed_by_tokens(reading):
    usage = reading(HEAR).reply({"text": "Hello.", "usage": USAGE}).usage
    assert (usage.input_tokens, usage.output_tokens) == (26, 4)
    assert usage.audio_input_tokens == 21


def test_transcription_is_billed_by_duration(reading):
    raw = {"type": "duration", "seconds": 7}
    usage = reading(HEAR).reply({"text": "Hello.", "usage": raw}).usage
    assert (usage.input_tokens, usage.output_tokens, usage.raw) == (None, None, raw)
    assert usage.audio_seconds == 7
    raw = {"prompt_audio_seconds": 12.5, "prompt_tokens": 4, "completion_tokens": 9}
    assert reading(HEAR).reply({"text": "Hello.", "usage": raw}).usage.audio_seconds == 12.5


def test_a_streamed_transcription_ends_with_its_usage(reading, stream):
    body = stream(
        {"type": "transcript.text.delta", "delta": "Hel"},
        {"type": "transcript.text.done", "text": "Hello.", "usage": USAGE},
    )
    assert reading(HEAR).reply(body).usage.input_tokens == 26


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"[Music] and words", "text/plain; charset=utf-8"),
        (b"1\n00:00:00,000 --> 00:00:02,000\nHello.\n", "text/plain"),
        (b"WEBVTT\n\n00:00.000 --> 00:02.000\nHello.\n", ""),
    ],
)
def test_plain_text_says_nothing_of_usage(body, kind):
    facts = answer(HEAR, body, kind)
    assert (facts.usage, facts.parse_error, facts.text) == (None, None, None)


def test_sound_is_not_read(reading):
    facts = answer(SAY, b'{"usage": {"input_tokens": 1}}', "audio/mpeg")
    assert (facts.usage, facts.parse_error) == (None, None)
    assert reading(SAY).reply(b"\xff\xf3\x00data: {\n\n").usage is None


def test_the_output_of_speech_is_sound(reading, stream):
    body = stream(
        {"type": "speech.audio.delta", "audio": "aGVsbG8="},
        {
            "type": "speech.audio.done",
            "usage": {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115},
        },
    )
    usage = reading(SAY).reply(body).usage
    assert (usage.input_tokens, usage.output_tokens, usage.audio_output_tokens) == (14, 101, 101)


def test_errors_are_read_whatever_their_type():
    facts = answer(SAY, b'{"error": {"code": "no_voice", "message": "Mute."}}', "audio/mpeg", 400)
    assert (facts.error_type, facts.error_message) == ("no_voice", "Mute.")
    assert answer(HEAR, b"too large", "text/html", 413).error_message == "too large"


def test_the_length_of_a_text_to_be_spoken_is_known_and_of_a_cut_one_not(reading):
    assert reading(SAY).request({"model": "t", "input": "Grüße 👋"}).input_characters == 7
    assert reading(SAY).request(b'{"model": "t", "input": "Hell').input_characters is None
    assert reading(HEAR).request({"model": "t", "input": "Hello."}).input_characters is None
