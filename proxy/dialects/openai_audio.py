"""OpenAI audio: sound to text (transcription, translation) and text to speech.

Owns which paths these are and what their counts mean: transcription is billed by tokens or by
duration, the output of speech is sound, and some of its models are paid by the characters that they
speak. Refuses to estimate tokens: neither a text nor the length of a file says what was billed.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from proxy.facts import ReplyFacts, ReplyHead, ReplyReader, RequestFacts, RequestHead, Usage
from proxy.wire.copies import Copy, CopyReader
from proxy.wire.multipart import read_members
from proxy.wire.openai_request import common_facts, posts_to
from proxy.wire.openai_usage import read_usage, usage_doubt
from proxy.wire.usage_answers import read_usage_answer

_OPERATIONS = {
    "/audio/transcriptions": "transcription",
    "/audio/translations": "translation",
    "/audio/speech": "speech",
}


class OpenAIAudio:
    """Claims `POST .../audio/transcriptions`, `.../translations` and `.../speech`."""

    name = "openai_audio"

    def operation(self, head: RequestHead) -> str | None:
        return next((name for end, name in _OPERATIONS.items() if posts_to(head, end)), None)

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:
        members, parse_error = read_members(head, body)
        if members.get("stream_format") == "sse":
            members["stream"] = True
        spoken = members.get("input") if self.operation(head) == "speech" else None
        return common_facts(
            head,
            members,
            parse_error,
            input_characters=len(spoken) if isinstance(spoken, str) and not parse_error else None,
        )

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        speaks = self.operation(head.request) == "speech"
        return CopyReader(partial(_read_reply, head=head, speaks=speaks))


def _read_reply(copy: Copy, head: ReplyHead, *, speaks: bool) -> ReplyFacts:
    answer = read_usage_answer(copy, head)
    usage = read_usage(answer.members.get("usage"))
    facts = answer.facts(head, _with_sound(usage) if speaks else usage)
    doubt = usage_doubt(facts.usage)
    return replace(facts, parse_error=facts.parse_error or doubt)


def _with_sound(usage: Usage | None) -> Usage | None:
    """Where the output is not broken down, all of it is sound."""
    if usage is None or usage.audio_output_tokens is not None:
        return usage
    return replace(usage, audio_output_tokens=usage.output_tokens)


DIALECT = OpenAIAudio()
