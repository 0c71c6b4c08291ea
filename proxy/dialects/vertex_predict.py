"""Vertex's predict for Google's embedding models.

Owns which paths are such, and tokens counted per instance: all of them are input. Refuses other
models behind the same method; they bill by picture or by second.
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

_PATH = re.compile(r"/publishers/google/models/(?P<model>[^/:]*embedding[^/:]*):predict$")
_NO_TEXT = frozenset({"task_type", "taskType", "image", "video"})


class VertexPredict:
    """See `proxy.facts.Dialect`."""

    name = "vertex_predict"

    def operation(self, head: RequestHead) -> str | None:
        claimed = head.method == "POST" and _PATH.search(unquote(head.path))
        return "embeddings" if claimed else None

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:
        members, parse_error = read_document(body)
        path = _PATH.search(unquote(head.path))
        instances = members.get("instances")
        return RequestFacts(
            model=path["model"] if path else None,
            stream=False,
            message_count=len(instances) if isinstance(instances, list) else None,
            prompt_text=lambda: prose(instances, _NO_TEXT),
            parse_error=parse_error,
        )

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        return CopyReader(lambda copy: _read(copy, head.status >= 400))


def _read(copy: Copy, failed: bool) -> ReplyFacts:
    if copy.is_empty:
        return ReplyFacts()
    document = copy.document()
    if failed:
        error_type, message = error_facts(refusal_in(document.value) or copy.words())
        return ReplyFacts(error_type=error_type, error_message=message)
    answer = document.value if isinstance(document.value, dict) else {}
    return ReplyFacts(
        usage=None if document.parse_error else _usage(answer.get("predictions")),
        parse_error=document.parse_error,
    )


def _usage(predictions: Any) -> Usage | None:
    """The sum over the instances, None where any of them is not counted."""
    if not isinstance(predictions, list):
        return None
    counted = [_statistics(prediction) for prediction in predictions]
    tokens = [count(each.get("token_count")) for each in counted]
    known = [number for number in tokens if number is not None]
    if not known or len(known) < len(tokens):
        return None
    return Usage(input_tokens=sum(known), raw={"statistics": counted})


def _statistics(prediction: Any) -> dict[str, Any]:
    embeddings = prediction.get("embeddings") if isinstance(prediction, dict) else None
    statistics = embeddings.get("statistics") if isinstance(embeddings, dict) else None
    return statistics if isinstance(statistics, dict) else {}


DIALECT = VertexPredict()
