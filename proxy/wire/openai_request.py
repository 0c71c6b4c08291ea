"""What all requests of the OpenAI family have in common.

Owns the model, the stream flag, the tier and the labels in a body's members. Refuses to know
messages, prompts or inputs; each dialect does.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from proxy.facts import RequestFacts, RequestHead
from proxy.wire.body_labels import body_labels
from proxy.wire.words import word

_DEPLOYMENT = re.compile(r"/deployments/([^/]+)/")
_STREAMED = re.compile(r"[?&]stream=(true|1)(&|$)", re.IGNORECASE)


def posts_to(head: RequestHead, suffix: str) -> bool:
    """Whether a request is a POST to a path that ends so, whatever the provider's prefix."""
    return head.method.upper() == "POST" and head.path.rstrip("/").endswith(suffix)


def common_facts(
    head: RequestHead, members: dict[str, Any], parse_error: str | None, **others: Any
) -> RequestFacts:
    """The facts of a request; `others` are those that only its dialect knows."""
    stream = members.get("stream")
    if not isinstance(stream, bool):
        stream = bool(_STREAMED.search(head.target))
        if parse_error and not stream:
            stream = None  # the flag may be in what could not be read
    return RequestFacts(
        model=word(members.get("model")) or _deployment(head.path),
        stream=stream,
        service_tier=word(members.get("service_tier")),
        labels=body_labels(members),
        parse_error=parse_error,
        **others,
    )


def item_count(value: Any) -> int | None:
    """How many prompts or inputs a value is: a string or a list of token ids is one."""
    if isinstance(value, str):
        return 1
    if not isinstance(value, list):
        return None
    return 1 if value and isinstance(value[0], int) else len(value)


def _deployment(path: str) -> str | None:
    found = _DEPLOYMENT.search(path)
    return unquote(found[1]) if found else None
