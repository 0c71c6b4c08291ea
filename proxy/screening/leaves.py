"""The texts of a JSON value: each string in it, and how another takes its place.

Owns which strings are looked at: names of members too, but neither labels, nor what names models,
kinds and roles, nor base64. Changes the value that it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from proxy.screening.masks import Masks
from proxy.screening.screen import Finding, Screen, is_blob
from proxy.screening.spans import APART, Span

LABELS = frozenset(
    {"user", "metadata", "safety_identifier", "prompt_cache_key", "labels", "sessionId"}
)
"""Members of a request that say whose it is: they stay as they are."""
PASSED = frozenset(
    {
        "id",
        "object",
        "model",
        "modelVersion",
        "type",
        "role",
        "created",
        "status",
        "system_fingerprint",
        "service_tier",
        "finish_reason",
        "finishReason",
        "stop_reason",
        "item_id",
        "response_id",
        "responseId",
        "call_id",
        "tool_call_id",
        "tool_use_id",
        "previous_response_id",
        "obfuscation",
        "signature",
        "thoughtSignature",
        "encrypted_content",
    }
)
"""Members that hold no text but the format's own words, or what must come back unchanged."""
SHORTEST_NAME = 8
"""Shorter names of members hold nothing."""


class Leaf(NamedTuple):
    """A string, and where it stands; the name of a member where `is_name`."""

    holder: Any
    key: Any
    text: str
    is_name: bool = False

    def put(self, text: str) -> None:
        if self.is_name:
            self.holder[text] = self.holder.pop(self.key)
        else:
            self.holder[self.key] = text


def leaves(value: Any, top: frozenset[str] = frozenset()) -> Iterator[Leaf]:
    """The strings in a value; `top` are members of it that are passed over. The name of a member
    comes after the string that it has."""
    left = [value]
    passed = PASSED | top if top else PASSED
    while left:
        holder = left.pop()
        if isinstance(holder, dict):
            for key, child in holder.items():
                if isinstance(child, str):
                    if key not in passed:
                        yield Leaf(holder, key, child)
                elif isinstance(child, dict | list) and key not in passed:
                    left.append(child)
            yield from (Leaf(holder, key, key, True) for key in holder if len(key) >= SHORTEST_NAME)
        else:
            for number, child in enumerate(holder):
                if isinstance(child, str):
                    yield Leaf(holder, number, child)
                elif isinstance(child, dict | list):
                    left.append(child)
        passed = PASSED


def found_in(screen: Screen, texts: Iterable[str]) -> list[list[Finding]]:
    """The findings in each text. They are looked through as one, which is quicker."""
    shown = ["" if is_blob(text) else text for text in texts]
    found: list[list[Finding]] = [[] for _ in shown]
    whole = APART.join(shown)
    at = number = 0
    for span in screen.find(whole):
        while span.start > at + len(shown[number]):
            at += len(shown[number]) + 1
            number += 1
        found[number].append(Span(span.start - at, span.end - at, span.of))
    return found


def mask(leaf: Leaf, found: list[Finding], masks: Masks) -> None:
    """Put the masked text in the leaf's place."""
    leaf.put(masks.applied(leaf.text, found))
