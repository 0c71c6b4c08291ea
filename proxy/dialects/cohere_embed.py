"""Cohere's embeddings, versions 1 and 2.

Owns which paths are such and their usage: all of it is input. Refuses the vectors.
"""

from __future__ import annotations

import re
from typing import Any

from proxy.facts import ReplyFacts, ReplyHead, ReplyReader, RequestFacts, RequestHead
from proxy.wire.cohere_usage import cohere_usage
from proxy.wire.copies import Copy, CopyReader
from proxy.wire.errors import error_facts, error_in, refusal_in
from proxy.wire.prose import prose
from proxy.wire.request_document import read_document
from proxy.wire.words import word

_PATH = re.compile(r"/v[12]/embed/?$")
_ASKED = ("texts", "inputs", "images")
_NO_TEXT = frozenset({"type", "image_url", "images"})


class CohereEmbed:
    """Claims `POST .../v1/embed` and `.../v2/embed`."""

    name = "cohere_embed"

    def operation(self, head: RequestHead) -> str | None:
        claimed = head.method == "POST" and _PATH.search(head.path)
        return "embeddings" if claimed else None

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:  # noqa: ARG002
        members, parse_error = read_document(body)
        asked = [members[name] for name in _ASKED if isinstance(members.get(name), list)]
        return RequestFacts(
            model=word(members.get("model")),
            stream=False if body and not parse_error else None,
            message_count=sum(map(len, asked)) if asked else None,
            prompt_text=lambda: prose([members.get("texts"), members.get("inputs")], _NO_TEXT),
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
        response_id=word(answer.get("id")),
        usage=None if failed else cohere_usage(answer.get("meta")),
        error_type=kind or ("error" if error and not failed else None),
        error_message=message,
        parse_error=document.parse_error,
    )


DIALECT = CohereEmbed()
