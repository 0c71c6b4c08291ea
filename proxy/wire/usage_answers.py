"""Answers whose only facts are model, usage and error: whole, or at the end of a stream.

Owns finding these in a copy that is mostly an image, a sound or a text. Refuses to interpret the
usage; each dialect knows what its counts are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from proxy.facts import ReplyFacts, ReplyHead, Usage
from proxy.wire.copies import Copy, heard
from proxy.wire.errors import error_facts, error_in, refusal_in
from proxy.wire.words import word

_TELLING = (b'"usage"', b'"error"')
_NO_TEXT = ("audio/", "image/", "video/", "application/octet-stream")
_STREAM, _PLAIN = "text/event-stream", "text/plain"
_STREAM_BEGINS = (b"data:", b"event:", b":")


@dataclass(slots=True)
class UsageAnswer:
    """What an answer said: the members of the object that has its usage, and its error."""

    members: dict[str, Any] = field(default_factory=dict)
    objects_with_usage: int = 0
    error: Any = None
    parse_error: str | None = None

    def hear(self, value: Any) -> None:
        """Take in one event, or the whole answer."""
        if not isinstance(value, dict):
            return
        self.error = error_in(value) or self.error
        self.objects_with_usage += isinstance(value.get("usage"), dict)
        if self.members.get("usage") is None or value.get("usage") is not None:
            self.members = value

    def facts(self, head: ReplyHead, usage: Usage | None) -> ReplyFacts:
        in_band = head.status < 400
        kind, message = error_facts(self.error)
        parse_error = self.parse_error
        if self.objects_with_usage > 1:
            usage, parse_error = None, "several usage objects, and nothing says which one counts"
        return ReplyFacts(
            model=word(self.members.get("model")) if in_band else None,
            response_id=word(self.members.get("id")) if in_band else None,
            usage=usage if in_band else None,
            error_type=kind or ("error" if self.error and in_band else None),
            error_message=message,
            parse_error=parse_error,
        )


def read_usage_answer(copy: Copy, head: ReplyHead) -> UsageAnswer:
    """What the copy says. Plain text and binary answers say nothing, unless they are errors."""
    answer = UsageAnswer()
    failed = head.status >= 400
    kind = head.headers.get("content-type", "").strip().lower()
    if copy.is_empty or (not failed and kind.startswith(_NO_TEXT)):
        return answer
    if copy.is_json:
        document = copy.document()
        if not kind.startswith(_PLAIN):  # plain text may begin with a bracket
            answer.parse_error = document.parse_error
        answer.hear(document.value)
        if failed:
            answer.error = refusal_in(document.value)
    elif kind.startswith(_STREAM) or copy.segments[0].lstrip().startswith(_STREAM_BEGINS):
        _hear_stream(copy, answer)
    if failed and answer.error is None:
        answer.error = copy.words()
    return answer


def _hear_stream(copy: Copy, answer: UsageAnswer) -> None:
    unreadable = heard(copy.telling(_TELLING), answer.hear)
    if answer.members.get("usage") is None:
        for event in copy.torn()[:1]:
            answer.hear(event)
    answer.parse_error = f"{unreadable} unreadable events" if unreadable else None
