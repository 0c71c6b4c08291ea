"""IBM watsonx's text generation, whole and streamed.

Owns which paths are such, and counts that a stream gives piecemeal: the input with the first event,
the output anew with each. Refuses watsonx's chat; another dialect claims it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from proxy.facts import ReplyFacts, ReplyHead, ReplyReader, RequestFacts, RequestHead, Usage
from proxy.wire.copies import Copy, CopyReader, documents
from proxy.wire.counts import count
from proxy.wire.errors import error_facts, error_in, refusal_in
from proxy.wire.request_document import read_document
from proxy.wire.words import plain, word

_PATH = re.compile(
    r"/ml/v1(-beta)?/(deployments/[^/]+/)?"
    r"(text/generation|generation/text)(?P<stream>_stream)?/?$"
)
_UNFINISHED = "not_finished"


class WatsonxGeneration:
    """See `proxy.facts.Dialect`."""

    name = "watsonx_generation"

    def operation(self, head: RequestHead) -> str | None:
        claimed = head.method == "POST" and _PATH.search(head.path)
        return "text_completion" if claimed else None

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:
        members, parse_error = read_document(body)
        path = _PATH.search(head.path)
        asked = members.get("input")
        return RequestFacts(
            model=word(members.get("model_id")),
            stream=bool(path["stream"]) if path else None,
            message_count=1 if isinstance(asked, str) else None,
            prompt_text=lambda: plain(asked),
            parse_error=parse_error,
        )

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        return CopyReader(lambda copy: _read(copy, head.status >= 400))


def _read(copy: Copy, failed: bool) -> ReplyFacts:
    if copy.is_empty:
        return ReplyFacts()
    answer, parse_error, unreadable = _Answer(), None, 0
    if copy.is_json:
        document = copy.document()
        parse_error = document.parse_error
        answer.take(document.value)
        if failed and answer.error is None:
            answer.error = refusal_in(document.value)
    else:
        for block in copy.blocks():
            found, whole = documents(block)
            unreadable += not whole
            for event in found:
                answer.take(event)
        if unreadable:
            parse_error = f"{unreadable} unreadable events"
        if failed and answer.error is None:
            answer.error, parse_error = copy.words(), None
    return answer.facts(copy, parse_error, failed=failed)


@dataclass(slots=True)
class _Answer:
    """What the events of one answer have said so far."""

    model: str | None = None
    reason: str | None = None
    given: int | None = None
    made: int | None = None
    error: Any = None

    def take(self, event: Any) -> None:
        if not isinstance(event, dict):
            return
        self.model = self.model or word(event.get("model_id"))
        self.error = self.error or error_in(event) or next(iter(_listed(event, "errors")), None)
        for result in _listed(event, "results"):
            reason = word(result.get("stop_reason"))
            self.reason = reason if reason != _UNFINISHED else self.reason
            self.given = max(self.given or 0, count(result.get("input_token_count")) or 0) or None
            made = count(result.get("generated_token_count"))
            self.made = self.made if made is None else made

    def facts(self, copy: Copy, parse_error: str | None, *, failed: bool) -> ReplyFacts:
        kind, message = error_facts(self.error)
        ended = self.reason is not None
        usage = None
        if self.given is not None or (ended and self.made is not None):
            raw = {"input_token_count": self.given, "generated_token_count": self.made}
            usage = Usage(
                input_tokens=self.given, output_tokens=self.made if ended else None, raw=raw
            )
        return ReplyFacts(
            model=self.model,
            finish_reasons=(self.reason,) if self.reason else None,
            usage=usage,
            error_type=kind or ("error" if self.error and not failed else None),
            error_message=message,
            text=lambda: _text(copy),
            parse_error=parse_error,
        )


def _text(copy: Copy) -> str:
    if copy.is_json:
        events = [copy.document().value]
    else:
        events = [event for block in copy.blocks() for event in documents(block)[0]]
    results = (result for event in events for result in _listed(event, "results"))
    return "".join(plain(result.get("generated_text")) for result in results)


def _listed(event: Any, name: str) -> list[dict[str, Any]]:
    found = event.get(name) if isinstance(event, dict) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


DIALECT = WatsonxGeneration()
