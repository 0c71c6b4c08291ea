"""What was asked, from a request's body: messages, tools and parameters.

Owns how the wire formats say these, as one list of `{"role", "content"}`; contents stay as they
were sent. Refuses to read answers (the dialects do) and never raises: None where it knows no
messages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_ROLES = {"model": "assistant"}
_STEPS = {"user_input": "user", "model_output": "assistant"}
_PARTS = frozenset({"text", "image", "audio", "video", "document"})
_TOOLS = ("tools", "functions", "toolConfig")
_LABELS = frozenset({"user", "metadata", "safety_identifier", "prompt_cache_key", "labels"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request; `parameters` are its members that are neither messages, tools nor labels."""

    messages: list[dict[str, Any]] | None = None
    tools: list[Any] | None = None
    parameters: dict[str, Any] = field(default_factory=dict)


def asked(document: Any) -> Asked:
    """What the JSON value of a request's body asks."""
    if not isinstance(document, dict):
        return Asked()
    for member, reader in _READERS.items():
        if member in document:
            messages, used = reader(document)
            return Asked(
                messages=messages,
                tools=_tools(document),
                parameters=_parameters(document, used),
            )
    return Asked(parameters=_parameters(document, ()))


def _chat(document: dict[str, Any]) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """OpenAI chat completions; Anthropic messages and Bedrock converse, with `system` apart."""
    system = [_message("system", document["system"])] if document.get("system") else []
    return system + _list(document["messages"]), ("messages", "system")


def _contents(document: dict[str, Any]) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Gemini generateContent."""
    names = ("contents", "systemInstruction", "system_instruction")
    first = document.get("systemInstruction") or document.get("system_instruction")
    system = [_message("system", _parts(first))] if first else []
    given = document["contents"]
    if isinstance(given, dict):
        given = [given]
    said = [
        _message(_ROLES.get(str(each.get("role")), each.get("role") or "user"), _parts(each))
        for each in given
        if isinstance(each, dict)
    ]
    return system + said, names


def _input(document: dict[str, Any]) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """OpenAI responses, embeddings and speech; Gemini's interactions."""
    names = ("input", "instructions", "system_instruction")
    first = document.get("instructions") or document.get("system_instruction")
    system = [_message("system", first)] if first else []
    given = document["input"]
    messages = _list(given)
    if not messages or all(str(each.get("type")) in _PARTS for each in messages):
        return [*system, _message("user", given)], names
    return system + [_step(each) for each in messages], names


def _step(item: dict[str, Any]) -> dict[str, Any]:
    """An item of the input, with the role that its type tells where it names none."""
    role = item.get("role") or _STEPS.get(str(item.get("type")))
    return item | {"role": _ROLES.get(str(role), role)} if role else item


def _prompt(document: dict[str, Any]) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """OpenAI completions, Ollama generate."""
    system = [_message("system", document["system"])] if document.get("system") else []
    return [*system, _message("user", document["prompt"])], ("prompt", "system")


_READERS: dict[str, Callable[[dict[str, Any]], tuple[list[dict[str, Any]], tuple[str, ...]]]] = {
    "messages": _chat,
    "contents": _contents,
    "input": _input,
    "prompt": _prompt,
}


def _message(role: Any, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


def _list(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _parts(value: Any) -> Any:
    """The parts of a Gemini content; one text alone as that text."""
    parts = value.get("parts") if isinstance(value, dict) else value
    if isinstance(parts, list) and len(parts) == 1 and set(parts[0]) == {"text"}:
        return parts[0]["text"]
    return parts


def _tools(document: dict[str, Any]) -> list[Any] | None:
    tools = document.get("tools") or document.get("functions")
    return tools if isinstance(tools, list) else None


def _parameters(document: dict[str, Any], used: tuple[str, ...]) -> dict[str, Any]:
    skipped = {*used, *_TOOLS, *_LABELS, "model"}
    return {name: value for name, value in document.items() if name not in skipped}
