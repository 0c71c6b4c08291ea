"""OpenAI embeddings, and everyone who speaks it (Mistral, Voyage, Azure, vLLM, ...).

Owns which paths are embeddings and their usage: all of it is input. Refuses the vectors.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from proxy.facts import ReplyFacts, ReplyHead, ReplyReader, RequestFacts, RequestHead, Usage
from proxy.wire.copies import Copy, CopyReader
from proxy.wire.counts import count
from proxy.wire.errors import error_facts, error_in, refusal_in
from proxy.wire.openai_request import common_facts, item_count, posts_to
from proxy.wire.openai_usage import read_usage
from proxy.wire.request_document import read_document
from proxy.wire.words import plain, word


class OpenAIEmbeddings:
    """Claims `POST .../embeddings`."""

    name = "openai_embeddings"

    def operation(self, head: RequestHead) -> str | None:
        return "embeddings" if posts_to(head, "/embeddings") else None

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:
        members, parse_error = read_document(body)
        asked = members.get("input", members.get("prompt"))
        return common_facts(
            head,
            members,
            parse_error,
            message_count=item_count(asked),
            prompt_text=lambda: plain(asked),
        )

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        return CopyReader(partial(_read_reply, head=head))


def _read_reply(copy: Copy, head: ReplyHead) -> ReplyFacts:
    failed = head.status >= 400
    if copy.is_empty:
        return ReplyFacts()
    if not copy.is_json:
        _, message = error_facts(copy.words())
        return ReplyFacts(error_message=message) if failed else ReplyFacts(parse_error="no JSON")
    document = copy.document()
    answer = document.value if isinstance(document.value, dict) else {}
    error = refusal_in(document.value) if failed else error_in(answer)
    kind, message = error_facts(error)
    return ReplyFacts(
        model=word(answer.get("model")),
        response_id=word(answer.get("id")),
        usage=_usage(answer.get("usage")),
        error_type=kind or ("error" if error and not failed else None),
        error_message=message,
        parse_error=document.parse_error,
    )


def _usage(raw: Any) -> Usage | None:
    """Some report a total alone, which is all input."""
    usage = read_usage(raw)
    if usage is None or usage.input_tokens is not None:
        return usage
    return replace(usage, input_tokens=count(usage.raw.get("total_tokens")))


DIALECT = OpenAIEmbeddings()
