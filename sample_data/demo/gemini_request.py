"""Gemini requests: what the model is asked, read from `contents` and the fields beside it.

Owns the names of the request's fields. Refuses to answer.
"""

from __future__ import annotations

from typing import Any

from sample_data.demo.answers import Json, Refusal
from sample_data.demo.reading import either, json_text, limit, mapping, objects, text_of
from sample_data.demo.speech import Prompt, Tool

_MODES = {"ANY": "required", "NONE": "none"}


def read(model: str, body: Json) -> Prompt:
    contents = objects(body.get("contents"))
    if not contents:
        raise Refusal(400, "* GenerateContentRequest.contents: contents is not specified")
    config = mapping(either(body, "generationConfig"))
    declared = [
        function
        for tool in objects(body.get("tools"))
        for function in objects(either(tool, "functionDeclarations"))
    ]
    lines = [json_text(body.get("tools"))]
    lines.append(text_of(mapping(either(body, "systemInstruction")).get("parts")))
    lines += [f"{each.get('role', 'user')}: {text_of(each.get('parts'))}" for each in contents]
    return Prompt(
        model=model,
        text="\n".join(lines),
        last_user=_last_user(contents[-1]),
        messages=len(contents),
        tools=tuple(_tool(function) for function in declared),
        tool_choice=_choice(body),
        limit=limit(config, "maxOutputTokens", "max_output_tokens"),
        schema=_schema(config),
        think=either(mapping(either(config, "thinkingConfig")), "thinkingBudget") != 0,
    )


def _last_user(content: Json) -> str:
    parts = objects(content.get("parts"))
    if content.get("role", "user") != "user" or any(
        either(part, "functionResponse") for part in parts
    ):
        return ""
    return text_of(parts)


def _tool(function: Json) -> Tool:
    schema = function.get("parameters") or either(function, "parametersJsonSchema")
    return Tool(name=str(function.get("name")), schema=schema)


def _choice(body: Json) -> str:
    config = mapping(either(mapping(either(body, "toolConfig")), "functionCallingConfig"))
    allowed = either(config, "allowedFunctionNames")
    mode = str(config.get("mode", "AUTO")).upper()
    if mode == "ANY" and isinstance(allowed, list) and allowed:
        return str(allowed[0])
    return _MODES.get(mode, "auto")


def _schema(config: Json) -> Any:
    if either(config, "responseMimeType") != "application/json":
        return None
    given = either(config, "responseSchema") or either(config, "responseJsonSchema")
    return given or {"properties": {"answer": {"type": "string"}}}
