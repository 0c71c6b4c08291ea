"""What a prompt counts beyond its words, by the providers' published rules, else as measured.

Owns the tokens around messages, those of tool definitions and of images. An estimate: what a
provider adds without saying so is not in it. Refuses to count the words themselves.
"""

from __future__ import annotations

from typing import Any

import orjson

from analytics import tokens
from analytics.image_sizes import image_tokens, images_in

_CHAT = frozenset({"openai_chat", "chat_elsewhere"})
_FRAMED = _CHAT | {"openai_responses"}
# OpenAI Cookbook, "How to count tokens with tiktoken": each message is followed by its frame of
# three tokens, its role is one, and each answer is primed with three.
_PER_MESSAGE, _PRIMING = 4, 3
# The same page, for tools: around a function, its properties, a property, an enumeration.
_FUNCTION, _PROPERTIES, _PROPERTY, _CHOICES, _CHOICE, _TOOLS_END = 7, 3, 3, -3, 3, 12
# No rule is published for these. Measured on recorded prompts without files or the provider's own
# tools (half of them for the numbers, the other half to test them): Claude adds a frame to the
# request and to each message, and with tools a prompt of its own and two fifths of the tokens of
# their JSON; Amazon's Nova the latter alone.
_CLAUDE_FRAME, _CLAUDE_PER_MESSAGE = 4, 2
_CLAUDE_WITH_TOOLS, _CLAUDE_PER_MESSAGE_WITH_TOOLS = 450, 8
_NOVA_WITH_TOOLS = 346
_OF_TOOLS_JSON = 0.4


def around(document: dict[str, Any], dialect: str | None, model: str | None) -> int:
    """The tokens of a request beside its text: frames, tools and images."""
    counted = sum(image_tokens(image, dialect, model) for image in images_in(document))
    if dialect in _FRAMED:
        counted += _frames(document)
        counted += tool_tokens(document.get("tools"), model)
    else:
        counted += _measured(document, (model or "").lower())
    return counted


def _measured(document: dict[str, Any], model: str) -> int:
    """What Claude and Nova were seen to add; nothing for a model that was not measured."""
    tools = document.get("tools") or _dict(document.get("toolConfig")).get("tools")
    messages = len(_list(document.get("messages")))
    if "claude" in model:
        if not tools:
            return _CLAUDE_FRAME + _CLAUDE_PER_MESSAGE * messages
        return _CLAUDE_WITH_TOOLS + _CLAUDE_PER_MESSAGE_WITH_TOOLS * messages + _written(tools)
    if "nova" in model and tools:
        return _NOVA_WITH_TOOLS + _written(tools)
    return 0


def _written(tools: Any) -> int:
    """The part of the tools' JSON that these models see, in tokens."""
    try:
        return round(_OF_TOOLS_JSON * tokens.estimate(orjson.dumps(tools).decode(), None))
    except orjson.JSONEncodeError:  # nested too deeply, or an integer beyond 64 bits
        return 0


def _frames(document: dict[str, Any]) -> int:
    messages = document.get("messages", document.get("input"))
    count = len(messages) if isinstance(messages, list) else 1
    return _PER_MESSAGE * (count + bool(document.get("instructions"))) + _PRIMING


def tool_tokens(tools: Any, model: str | None) -> int:
    """The tokens of functions that the model may call, as OpenAI writes them out for it."""
    functions = [function for tool in _list(tools) if (function := _function(tool))]
    if not functions:
        return 0
    return _TOOLS_END + sum(_function_tokens(function, model) for function in functions)


def _function_tokens(function: dict[str, Any], model: str | None) -> int:
    line = f"{_text(function.get('name'))}:{_text(function.get('description')).rstrip('.')}"
    counted = _FUNCTION + tokens.estimate(line, model)
    properties = _dict(_dict(function.get("parameters")).get("properties"))
    if properties:
        counted += _PROPERTIES
    for name, value in properties.items():
        kind = _dict(value)
        choices = _list(kind.get("enum"))
        if choices:
            counted += _CHOICES
            counted += sum(_CHOICE + tokens.estimate(_text(choice), model) for choice in choices)
        line = f"{name}:{_text(kind.get('type'))}:{_text(kind.get('description')).rstrip('.')}"
        counted += _PROPERTY + tokens.estimate(line, model) + _nested(kind, model)
    return counted


def _nested(kind: dict[str, Any], model: str | None) -> int:
    """What lies below a property; the page has no rule for it, so it counts as it is written."""
    below = [kind.get("items"), kind.get("properties"), kind.get("anyOf")]
    parts = [part for part in below if part]
    try:
        return tokens.estimate(orjson.dumps(parts).decode(), model) if parts else 0
    except orjson.JSONEncodeError:  # nested too deeply, or an integer beyond 64 bits
        return 0


def _function(tool: Any) -> dict[str, Any]:
    """In chat completions a tool has its function inside, in responses it is one."""
    tool = _dict(tool)
    return _dict(tool.get("function")) or (tool if tool.get("type") == "function" else {})


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
