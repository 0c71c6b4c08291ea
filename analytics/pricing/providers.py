"""Who bills for what a provider of ours serves, in the words of genai-prices.

Owns the names. Refuses to conclude a biller from a model's name alone: an unknown host may serve
`gpt-4o` at any price, or serve something else under that name. A provider that the user names
after a known one (`openai-eu`, `my_mistral`) bills as that one.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

_BILLS_AS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "claude": "anthropic",
    "gemini": "google",
    "vertex": "google",
    "vertexai": "google",
    "google": "google",
    "azure": "azure",
    "bedrock": "aws",
    "aws": "aws",
    "mistral": "mistral",
    "groq": "groq",
    "deepseek": "deepseek",
    "xai": "x-ai",
    "cohere": "cohere",
    "openrouter": "openrouter",
    "together": "together",
    "fireworks": "fireworks",
    "perplexity": "perplexity",
    "cerebras": "cerebras",
    "moonshot": "moonshotai",
    "moonshotai": "moonshotai",
    "voyage": "voyageai",
    "voyageai": "voyageai",
    "novita": "novita",
    "zai": "zai",
    "zhipuai": "zhipuai",
    "minimax": "minimax",
    "baseten": "baseten",
    "databricks": "databricks",
    "cloudflare": "cloudflare",
    "ovhcloud": "ovhcloud",
    "avian": "avian",
}
# Those who resell others' models at the makers' list prices, where they publish none of their own.
_RESELLS = {
    "azure": ("openai", "anthropic", "deepseek", "x-ai", "moonshotai"),
    "google": ("anthropic",),
}
_RESELLERS = frozenset({"azure", "aws", "google", "openrouter", "cloudflare", "databricks"})
_UNPRICED = frozenset({"ollama", "vllm", "local", "localhost", "lmstudio", "llamacpp", "localai"})
_DEMO = ("openai", "anthropic", "google", "mistral", "cohere", "deepseek", "x-ai", "perplexity")
# Their model names are unique, so that a prefix before the last slash tells nothing.
_PREFIX_IS_NO_NAME = frozenset(
    {"openai", "anthropic", "google", "aws", "azure", "mistral", "cohere", "deepseek", "x-ai"}
)


def billers(provider: str) -> tuple[tuple[str, bool], ...]:
    """Whose price lists to try in turn, and whether each is the provider's own.

    A list that is not its own says nothing about the provider's service tiers.
    """
    if provider == "demo":
        return tuple((name, True) for name in _DEMO)
    words = re.split(r"[^a-z0-9]+", provider.lower())
    if not _UNPRICED.isdisjoint(words):
        return ()
    names = {_BILLS_AS[word] for word in words if word in _BILLS_AS}
    # `azure-openai` is Azure: of a reseller and a maker the reseller sends the bill.
    names = (names & _RESELLERS) or names
    if len(names) != 1:
        return ()
    (name,) = names
    return ((name, True), *((maker, False) for maker in _RESELLS.get(name, ())))


def spellings(biller: str, model: str) -> tuple[str, ...]:
    """The names under which a price list may know a model: as it is, then without its prefix."""
    name = unquote(model).strip().lower()
    last = name.rpartition("/")[2]
    if biller in _PREFIX_IS_NO_NAME and last != name and last:
        return name, last
    return (name,) if name else ()
