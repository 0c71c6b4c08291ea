"""Models invoked directly on Bedrock, whole and streamed: each answers in its own form.

Owns which requests are such, the facts of a request, and the choice of the form by the shape of
the answer (an ARN in the path does not tell the model). Refuses to guess usage: where the model's
form has none, Bedrock's headers or metrics do.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from proxy.facts import ReplyFacts, ReplyHead, ReplyReader, RequestFacts, RequestHead
from proxy.wire.aws_errors import aws_refusal
from proxy.wire.bedrock_chunks import read_chunks
from proxy.wire.bedrock_forms import read_document_form, read_stream_form
from proxy.wire.body_labels import body_labels
from proxy.wire.copies import Copy, CopyReader
from proxy.wire.decode import loads
from proxy.wire.errors import error_facts
from proxy.wire.fingerprint import fingerprint
from proxy.wire.prose import prose
from proxy.wire.request_document import read_document
from proxy.wire.words import plain, word

# The model is percent-encoded; of an ARN some clients leave the slash as it is.
_PATH = re.compile(r"/model/(?P<model>.+)/(?P<method>invoke|invoke-with-response-stream)/?$")
_STREAMED = "invoke-with-response-stream"
_TIER = "x-amzn-bedrock-service-tier"
_METADATA = "x-amzn-bedrock-request-metadata"
_OPERATIONS = (("embed", "embeddings"), ("rerank", "rerank"))
_IMAGES = re.compile(r"stability\.|titan-image|nova-canvas")
_INSTRUCTING = ("system", "developer")
_PROMPT = ("system", "messages", "prompt", "inputText", "preamble", "chat_history", "message")
_EMBEDDED = ("texts", "inputs", "singleEmbeddingParams", "query", "documents")
_ONE_PROMPT = ("prompt", "inputText", "message")
_NO_TEXT = frozenset(
    {"type", "role", "id", "tool_use_id", "signature", "data", "bytes", "format", "media_type"}
    | {"url", "image_url", "cache_control", "embeddingPurpose", "truncationMode", "source"}
)


class BedrockInvoke:
    """See `proxy.facts.Dialect`."""

    name = "bedrock_invoke"

    def operation(self, head: RequestHead) -> str | None:
        found = _PATH.search(head.path) if head.method == "POST" else None
        if not found:
            return None
        model = unquote(found["model"])
        if _IMAGES.search(model):
            return "image_generation"
        return next((name for part, name in _OPERATIONS if part in model), "chat")

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:
        document, parse_error = read_document(body)
        path = _PATH.search(head.path)
        return RequestFacts(
            model=unquote(path["model"]) if path else None,
            stream=path["method"] == _STREAMED if path else None,
            service_tier=word(head.headers.get(_TIER)),
            message_count=_message_count(document),
            prompt_fingerprint=fingerprint(_instructions(document), document.get("tools") or None),
            labels=_labels(document, head),
            prompt_text=lambda: prose(
                [document.get(name) for name in (*_PROMPT, *_EMBEDDED)], _NO_TEXT
            ),
            parse_error=parse_error,
        )

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        if head.status >= 400:
            return CopyReader(lambda copy: _read_refusal(copy, head))
        return CopyReader(lambda copy: _read_answer(copy, head))


def _read_answer(copy: Copy, head: ReplyHead) -> ReplyFacts:
    if copy.is_empty:
        return ReplyFacts()
    if copy.is_json:
        return read_document_form(copy, head)
    return read_stream_form(read_chunks(copy.segments), head)


def _read_refusal(copy: Copy, head: ReplyHead) -> ReplyFacts:
    document = copy.document().value if copy.is_json else {"message": copy.words()}
    error_type, message = error_facts(aws_refusal(document, head.headers))
    return ReplyFacts(error_type=error_type, error_message=message)


def _message_count(document: dict[str, Any]) -> int | None:
    for name in ("messages", "texts", "inputs"):
        if isinstance(asked := document.get(name), list):
            return len(asked)
    if isinstance(said := document.get("chat_history"), list):
        return len(said) + 1
    return 1 if any(isinstance(document.get(name), str) for name in _ONE_PROMPT) else None


def _instructions(document: dict[str, Any]) -> Any:
    """What instructs the model: apart from the messages, or the first of them."""
    if apart := document.get("system") or document.get("preamble"):
        return plain(apart)
    leading = []
    messages = document.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if not isinstance(message, dict) or message.get("role") not in _INSTRUCTING:
            break
        leading.append(plain(message.get("content")))
    return leading or None


def _labels(document: dict[str, Any], head: RequestHead) -> dict[str, str]:
    """Those of the body, and the metadata that a header of Bedrock's carries as JSON."""
    labels = body_labels(document)
    try:
        metadata = loads(head.headers.get(_METADATA, "").encode())
    except ValueError:
        return labels
    return {**body_labels({"metadata": metadata}), **labels}


DIALECT = BedrockInvoke()
