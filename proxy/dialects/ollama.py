"""Ollama's own API: chat, generate and embeddings.

Owns which paths are such, the facts of a request, and answers that are one object or one a line.
Refuses the OpenAI paths that Ollama serves too; other dialects claim them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from proxy.facts import ReplyFacts, ReplyHead, ReplyReader, RequestFacts, RequestHead, Usage
from proxy.wire.copies import Copy, CopyReader
from proxy.wire.counts import count
from proxy.wire.errors import error_facts, error_in
from proxy.wire.fingerprint import fingerprint
from proxy.wire.json_lines import Lines
from proxy.wire.openai_request import item_count, posts_to
from proxy.wire.openai_usage import read_usage
from proxy.wire.request_document import read_document
from proxy.wire.words import plain, word

_PATHS = {
    "/api/chat": "chat",
    "/api/generate": "text_completion",
    "/api/embed": "embeddings",
    "/api/embeddings": "embeddings",
}
_EMBEDDINGS = "embeddings"
_TELLING = (b'"tool_calls"', b'"error"', b'"done":true', b'"done": true')
_COUNTS = ("prompt_eval_count", "eval_count")
_TIMES = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")


class Ollama:
    """See `proxy.facts.Dialect`."""

    name = "ollama"

    def operation(self, head: RequestHead) -> str | None:
        if "/api/" not in head.target:  # it is asked first, of all requests
            return None
        return next((name for end, name in _PATHS.items() if posts_to(head, end)), None)

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:
        members, parse_error = read_document(body)
        messages = members.get("messages")
        asked = members.get("input", members.get("prompt"))
        return RequestFacts(
            model=word(members.get("model")),
            stream=_stream(members, parse_error, self.operation(head) != _EMBEDDINGS),
            message_count=len(messages) if isinstance(messages, list) else item_count(asked),
            prompt_fingerprint=fingerprint(_instructions(members), members.get("tools") or None),
            prompt_text=lambda: "\n".join(
                filter(None, (plain(members.get("system")), plain(messages), plain(asked)))
            ),
            parse_error=parse_error,
        )

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        embeds = self.operation(head.request) == _EMBEDDINGS
        return CopyReader(lambda copy: _read(copy, head.status >= 400, embeds))


def _read(copy: Copy, failed: bool, embeds: bool) -> ReplyFacts:
    answer = _Answer(embeds=embeds)
    if copy.is_empty:
        return ReplyFacts()
    if not copy.is_json:
        _, message = error_facts(copy.words())
        return ReplyFacts(error_message=message) if failed else ReplyFacts(parse_error="no JSON")
    lines = Lines(copy.segments)
    is_torn = False
    for line in lines.telling(_TELLING):
        answer.take(line.members)
        is_torn = is_torn or line.is_torn
    parse_error = f"{lines.unreadable} unreadable lines" if lines.unreadable else None
    if lines.is_document and (is_torn or copy.has_gap):
        parse_error = "incomplete JSON"
    return answer.facts(copy, failed=failed, parse_error=parse_error)


@dataclass(slots=True)
class _Answer:
    """What the lines of one answer have said so far."""

    embeds: bool
    model: str | None = None
    reason: str | None = None
    is_done: bool = False
    calls: list[str] = field(default_factory=list)
    counts: dict[str, Any] = field(default_factory=dict)
    usage: Usage | None = None
    error: Any = None

    def take(self, line: dict[str, Any]) -> None:
        self.model = self.model or word(line.get("model"))
        self.error = error_in(line) or self.error
        self.reason = word(line.get("done_reason")) or self.reason
        self.is_done = self.is_done or line.get("done") is True
        self.counts |= {name: line[name] for name in (*_COUNTS, *_TIMES) if name in line}
        self.usage = read_usage(line.get("usage")) or self.usage
        message = line.get("message")
        calls = message.get("tool_calls") if isinstance(message, dict) else None
        for call in calls if isinstance(calls, list) else ():
            details = call.get("function") if isinstance(call, dict) else None
            self.calls.append(word(details.get("name")) or "" if isinstance(details, dict) else "")

    def facts(self, copy: Copy, *, failed: bool, parse_error: str | None) -> ReplyFacts:
        kind, message = error_facts(self.error)
        if self.error and not failed:
            kind = kind or "error"
        counts_calls = self.is_done and not copy.has_gap and not self.embeds
        return ReplyFacts(
            model=self.model,
            finish_reasons=(self.reason,) if self.reason else None,
            tool_names=tuple(filter(None, self.calls)) or None,
            tool_call_count=len(self.calls) if counts_calls else None,
            usage=self.usage or self._counted(),
            error_type=kind,
            error_message=message,
            text=None if self.embeds else lambda: _text(copy),
            parse_error=parse_error,
        )

    def _counted(self) -> Usage | None:
        """A prompt that is still in memory from the last call is not counted again."""
        given, made = (count(self.counts.get(name)) for name in _COUNTS)
        if given is None and made is None:
            return None
        return Usage(input_tokens=given, output_tokens=made, raw=self.counts)


def _stream(members: dict[str, Any], parse_error: str | None, by_default: bool) -> bool | None:
    """Answers are streamed unless the request says otherwise."""
    stream = members.get("stream")
    if isinstance(stream, bool):
        return stream
    return by_default if members and not parse_error else None


def _instructions(members: dict[str, Any]) -> Any:
    if apart := members.get("system"):
        return plain(apart)
    leading = []
    messages = members.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if not isinstance(message, dict) or message.get("role") != "system":
            break
        leading.append(plain(message.get("content")))
    return leading or None


def _text(copy: Copy) -> str:
    """All that the answer thought, said and called tools with."""
    return "".join(_line_text(line.members) for line in Lines(copy.segments).all())


def _line_text(line: dict[str, Any]) -> str:
    message = line.get("message")
    holder = message if isinstance(message, dict) else line
    found = [plain(holder.get(name)) for name in ("thinking", "content", "response")]
    if calls := holder.get("tool_calls"):
        found.append(json.dumps(calls, ensure_ascii=False))
    return "".join(found)


DIALECT = Ollama()
