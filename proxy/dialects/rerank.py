"""Reranking, as Cohere, Voyage, Jina and others offer it: much alike.

Owns which paths are such and their usage: all tokens are input; some are paid by search units
instead. Refuses the scores.
"""

from __future__ import annotations

from typing import Any

from proxy.facts import ReplyFacts, ReplyHead, ReplyReader, RequestFacts, RequestHead, Usage
from proxy.wire.cohere_usage import cohere_usage
from proxy.wire.copies import Copy, CopyReader
from proxy.wire.counts import count
from proxy.wire.errors import error_facts, error_in, refusal_in
from proxy.wire.openai_request import posts_to
from proxy.wire.prose import prose
from proxy.wire.request_document import read_document
from proxy.wire.words import word

_COUNTS = ("total_tokens", "prompt_tokens", "input_tokens")


class Rerank:
    """Claims `POST .../rerank`."""

    name = "rerank"

    def operation(self, head: RequestHead) -> str | None:
        return "rerank" if posts_to(head, "/rerank") else None

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:  # noqa: ARG002
        members, parse_error = read_document(body)
        documents = members.get("documents")
        return RequestFacts(
            model=word(members.get("model")),
            stream=False if body and not parse_error else None,
            message_count=len(documents) if isinstance(documents, list) else None,
            prompt_text=lambda: prose([members.get("query"), documents], frozenset()),
            parse_error=parse_error,
        )

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        return CopyReader(lambda copy: _read(copy, head.status >= 400))


def _read(copy: Copy, failed: bool) -> ReplyFacts:
    if copy.is_empty:
        return ReplyFacts()
    if not copy.is_json:
        _, message = error_facts(copy.words())
        return ReplyFacts(error_message=message) if failed else ReplyFacts(parse_error="no JSON")
    document = copy.document()
    answer: dict[str, Any] = document.value if isinstance(document.value, dict) else {}
    error = refusal_in(document.value) if failed else error_in(answer)
    kind, message = error_facts(error)
    return ReplyFacts(
        model=word(answer.get("model")),
        response_id=word(answer.get("id")),
        usage=None if failed else _usage(answer),
        error_type=kind or ("error" if error and not failed else None),
        error_message=message,
        parse_error=document.parse_error,
    )


def _usage(answer: dict[str, Any]) -> Usage | None:
    raw = answer.get("usage")
    if not isinstance(raw, dict):
        return cohere_usage(answer.get("meta"))
    tokens = (count(raw.get(name)) for name in _COUNTS)
    return Usage(input_tokens=next((n for n in tokens if n is not None), None), raw=raw)


DIALECT = Rerank()
