"""What a request may ask for: models, tools, sizes, labels.

Owns these checks. Pure: a rule and what is known of the call in, a reason out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from proxy.calls.asked import Asked
from proxy.limits.claims import allowed_output
from proxy.rules.conditions import LABELS, pattern
from proxy.rules.guarding import AtMost, Guardrail, Names


class Reason(NamedTuple):
    """Why a call is refused."""

    status: int
    error_type: str
    words: str


def reason_against(
    rule: Guardrail, model: str | None, asked: Asked, size: int | None
) -> Reason | None:
    """The first thing that the rule does not allow; `size` in bytes, None where unknown."""
    return next(_reasons(rule, model, asked, size), None)


def _reasons(
    rule: Guardrail, model: str | None, asked: Asked, size: int | None
) -> Iterator[Reason]:
    if rule.models is not None:
        shown = model or "a model that cannot be read"
        if not _allowed(rule.models, model):
            yield Reason(403, "model_not_allowed", f"{shown} may not be used here")
    if rule.tools is not None:
        for name in tool_names(asked.document):
            if not _allowed(rule.tools, name):
                yield Reason(403, "tool_not_allowed", f"the tool {name} may not be used here")
    if missing := [name for name in rule.require if not _has(asked.labels, name)]:
        yield Reason(400, "label_missing", f"a call needs the label {missing[0]}")
    if rule.at_most is not None:
        yield from _too_large(rule.at_most, asked, size)


def _has(labels: Mapping[str, str], name: str) -> bool:
    return bool(labels.get(LABELS.get(name, name)))


def _allowed(names: Names, name: str | None) -> bool:
    """What cannot be read could be any: it is allowed only where everything is."""
    if name is None:
        return False
    if any(pattern(glob).match(name) for glob in names.deny or ()):
        return False
    return names.allow is None or any(pattern(glob).match(name) for glob in names.allow)


def _too_large(most: AtMost, asked: Asked, size: int | None) -> Iterator[Reason]:
    if most.bytes is not None and (size is None or size > most.bytes):
        yield Reason(413, "request_too_large", f"its body is larger than {most.bytes} bytes")
    counts: tuple[tuple[int | None, Callable[[], int | None], str], ...] = (
        (most.input_tokens, lambda: asked.input_tokens, "tokens in its prompt"),
        (most.output_tokens, lambda: allowed_output(asked.document), "tokens asked for"),
        (most.messages, lambda: asked.facts.message_count, "messages"),
    )
    for bound, count, words in counts:
        if bound is not None and (found := count()) is not None and found > bound:
            yield Reason(400, "request_too_large", f"{found} {words}, and {bound} are allowed")


def tool_names(document: Mapping[str, Any]) -> Iterator[str]:
    """The tools that a request offers the model, in the words of any dialect: by their name, those
    of the provider's own by their type."""
    tools = [*_listed(document.get("tools")), *_listed(document.get("functions"))]
    config = document.get("toolConfig")
    if isinstance(config, dict):
        tools += _listed(config.get("tools"))
    for tool in tools:
        yield from _names_of(tool)


_DECLARATIONS = ("functionDeclarations", "function_declarations")


def _names_of(tool: Any) -> Iterator[str]:
    if not isinstance(tool, dict):
        return
    inner = next((tool[n] for n in ("function", "custom", "toolSpec") if n in tool), tool)
    if isinstance(inner, dict) and isinstance(inner.get("name"), str):
        yield inner["name"]
    elif isinstance(inner, dict) and isinstance(inner.get("type"), str):
        yield inner["type"]
    else:  # Gemini's: declared functions and its own, {"googleSearch": {}}, in one
        for name, value in tool.items():
            if name not in _DECLARATIONS:
                yield str(name)
            for each in _listed(value) if name in _DECLARATIONS else ():
                yield str(each.get("name") if isinstance(each, dict) else each)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
