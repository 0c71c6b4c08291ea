"""Replicate's predictions, as they are made.

Owns which paths make one, the model in path or body, and the counts of one that is answered at
once. Refuses the polls of a prediction: they would bill it again.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from proxy.facts import ReplyFacts, ReplyHead, ReplyReader, RequestFacts, RequestHead, Usage
from proxy.wire.copies import Copy, CopyReader
from proxy.wire.counts import count
from proxy.wire.errors import error_facts, refusal_in
from proxy.wire.prose import prose
from proxy.wire.request_document import read_document
from proxy.wire.words import plain, word

_PATH = re.compile(r"/v1/((models|deployments)/(?P<model>[^/]+/[^/]+)/)?predictions/?$")
_FAILED = ("failed", "canceled", "aborted")
_COUNTS = ("input_token_count", "output_token_count")


class ReplicatePredictions:
    """See `proxy.facts.Dialect`."""

    name = "replicate_predictions"

    def operation(self, head: RequestHead) -> str | None:
        claimed = head.method == "POST" and _PATH.search(head.path)
        return "generate_content" if claimed else None

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:
        members, parse_error = read_document(body)
        path = _PATH.search(head.path)
        stream: Any = members.get("stream", False if body and not parse_error else None)
        in_path = unquote(path["model"]) if path and path["model"] else None
        return RequestFacts(
            model=in_path or word(members.get("version")),
            stream=stream if isinstance(stream, bool) else None,
            prompt_text=lambda: prose(members.get("input"), frozenset()),
            parse_error=parse_error,
        )

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        return CopyReader(lambda copy: _read(copy, head.status >= 400))


def _read(copy: Copy, failed: bool) -> ReplyFacts:
    if copy.is_empty:
        return ReplyFacts()
    document = copy.document()
    answer: dict[str, Any] = document.value if isinstance(document.value, dict) else {}
    if failed:
        error_type, message = error_facts(refusal_in(document.value) or copy.words())
        return ReplyFacts(error_type=error_type, error_message=message)
    status = word(answer.get("status"))
    return ReplyFacts(
        model=word(answer.get("model")),
        response_id=word(answer.get("id")),
        usage=_usage(answer.get("metrics")),
        error_type=status if status in _FAILED else None,
        error_message=word(answer.get("error")),
        text=lambda: plain(answer.get("output")),
        parse_error=document.parse_error,
    )


def _usage(metrics: Any) -> Usage | None:
    """Language models count tokens; others are billed by time, which stays in `raw`."""
    if not isinstance(metrics, dict):
        return None
    given, made = (count(metrics.get(name)) for name in _COUNTS)
    if given is None and made is None:
        return None
    return Usage(input_tokens=given, output_tokens=made, raw=metrics)


DIALECT = ReplicatePredictions()
