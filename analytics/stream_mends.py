"""How each client has the usage of its streams told: the line of code to change.

Owns the lines, and which client a user agent is. Frameworks that call through another's SDK bear
that one's name, so their lines stand beside it. Source: OpenAI's API reference, "Create chat
completion", `stream_options`, and each SDK's own documentation.
"""

from __future__ import annotations

from typing import NamedTuple

ASKING = ("openai_chat", "openai_completions")
"""Formats in which a stream tells its usage only where the request asks for it."""
NOT_TOLD = "the provider tells no usage here: costs rest on estimates, or are missing"


class Mend(NamedTuple):
    """One SDK or framework; `agents` are what its user agents begin with, in lower case."""

    sdk: str
    line: str
    agents: tuple[str, ...] = ()


MENDS = (
    Mend(
        "openai (Python)",
        'client.chat.completions.create(..., stream_options={"include_usage": True})',
        ("openai/python", "asyncopenai/python", "azureopenai/python", "asyncazureopenai/python"),
    ),
    Mend("LangChain (Python)", "ChatOpenAI(..., stream_usage=True)"),
    Mend(
        "LiteLLM",
        'litellm.completion(..., stream_options={"include_usage": True})',
        ("litellm/",),
    ),
    Mend(
        "LlamaIndex",
        'OpenAI(..., additional_kwargs={"stream_options": {"include_usage": True}})',
    ),
    Mend("OpenAI Agents SDK (Python)", "ModelSettings(..., include_usage=True)"),
    Mend(
        "openai (JavaScript)",
        "client.chat.completions.create({ ..., stream_options: { include_usage: true } })",
        ("openai/js", "azureopenai/js"),
    ),
    Mend("LangChain (JavaScript)", "new ChatOpenAI({ ..., streamUsage: true })"),
    Mend(
        "Vercel AI SDK",
        "createOpenAICompatible({ ..., includeUsage: true })",
        ("ai/", "ai-sdk/"),
    ),
    Mend(
        "openai (Go)",
        "StreamOptions: openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)}",
        ("openai/go", "openai-go"),
    ),
    Mend(
        "openai (Java)",
        ".streamOptions(ChatCompletionStreamOptions.builder().includeUsage(true).build())",
        ("openai/java", "openai-java"),
    ),
    Mend(
        "openai (Ruby)",
        "client.chat.completions.stream(..., stream_options: {include_usage: true})",
        ("openai/ruby", "ruby-openai"),
    ),
    Mend("anything else", '"stream_options": {"include_usage": true} in the body of the request'),
)


def mend(client: str | None, provider: str | None, dialect: str | None) -> str:
    """How such a client has the usage of its streams told."""
    if dialect not in ASKING:
        return NOT_TOLD
    name = (client or "").lower()
    known = (each for each in MENDS if each.agents and name.startswith(each.agents))
    line = next(known, MENDS[-1]).line
    return f"{line}; or inject_stream_usage = true in [providers.{provider or 'NAME'}]"
