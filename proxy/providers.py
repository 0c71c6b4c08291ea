"""The built-in providers: where each one is, and how it wants its key.

Owns these constants. Sources: the providers' API references. A provider without a public fixed
address has no `base_url` here and needs one in the configuration.
"""

from __future__ import annotations

from dataclasses import dataclass

BEARER = "authorization"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltIn:
    """What is known of a provider without configuration."""

    base_url: str | None
    key_header: str = BEARER
    """The header that carries the key: `authorization` as a bearer token, others as it is."""
    openai_path: str = "/v1"
    """What goes before `/chat/completions` where it speaks like OpenAI."""


BUILT_IN: dict[str, BuiltIn] = {
    "openai": BuiltIn(base_url="https://api.openai.com"),
    "anthropic": BuiltIn(base_url="https://api.anthropic.com", key_header="x-api-key"),
    "gemini": BuiltIn(
        base_url="https://generativelanguage.googleapis.com",
        key_header="x-goog-api-key",
        openai_path="/v1beta/openai",
    ),
    "vertex": BuiltIn(base_url="https://aiplatform.googleapis.com"),
    "azure": BuiltIn(base_url=None, key_header="api-key", openai_path="/openai/v1"),
    "bedrock": BuiltIn(base_url=None),
    "mistral": BuiltIn(base_url="https://api.mistral.ai"),
    "groq": BuiltIn(base_url="https://api.groq.com", openai_path="/openai/v1"),
    "deepseek": BuiltIn(base_url="https://api.deepseek.com"),
    "xai": BuiltIn(base_url="https://api.x.ai"),
    "cohere": BuiltIn(base_url="https://api.cohere.com", openai_path="/compatibility/v1"),
    "openrouter": BuiltIn(base_url="https://openrouter.ai", openai_path="/api/v1"),
    "together": BuiltIn(base_url="https://api.together.xyz"),
    "fireworks": BuiltIn(base_url="https://api.fireworks.ai", openai_path="/inference/v1"),
    "perplexity": BuiltIn(base_url="https://api.perplexity.ai", openai_path=""),
    "cerebras": BuiltIn(base_url="https://api.cerebras.ai"),
    "ollama": BuiltIn(base_url="http://127.0.0.1:11434"),
    "vllm": BuiltIn(base_url="http://127.0.0.1:8000"),
    "demo": BuiltIn(base_url=None),
}

DEFAULT = "openai"
DEMO = "demo"
