"""The models the demo provider knows: full names, which of them reason, and the lists.

Owns the small table behind an undated name. Refuses to reject a model: unknown names are echoed.
"""

from __future__ import annotations

import re
from typing import Any

DATED = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano": "gpt-4.1-nano-2025-04-14",
    "o1": "o1-2024-12-17",
    "o3": "o3-2025-04-16",
    "o3-mini": "o3-mini-2025-01-31",
    "o4-mini": "o4-mini-2025-04-16",
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "gpt-5-nano": "gpt-5-nano-2025-08-07",
    "gpt-5.1": "gpt-5.1-2025-11-13",
    "gpt-5.2": "gpt-5.2-2025-12-11",
    "claude-3-5-haiku-latest": "claude-3-5-haiku-20241022",
    "claude-3-7-sonnet-latest": "claude-3-7-sonnet-20250219",
    "claude-sonnet-4-0": "claude-sonnet-4-20250514",
    "claude-opus-4-0": "claude-opus-4-20250514",
    "claude-opus-4-1": "claude-opus-4-1-20250805",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
    "claude-opus-4-5": "claude-opus-4-5-20251101",
}
EMBEDDING_SIZES = {"text-embedding-3-large": 3072, "gemini-embedding-001": 3072}
DEFAULT_EMBEDDING_SIZE = 1536

_REASONS = re.compile(
    r"o\d\b|gpt-[5-9](?!.*chat)|gpt-oss|gemini-(2\.5-(pro|flash)(?!-lite)|[3-9])|.*(reason|think)"
)
_CREATED = 1_721_172_741  # one instant for every model: the lists are the same on each run


def full_name(model: str) -> str:
    """The name an answer bears: with its date where the table knows one."""
    return DATED.get(model, model)


def reasons(model: str) -> bool:
    """Whether the name says that the model thinks before it speaks."""
    return _REASONS.match(model) is not None


def embedding_size(model: str) -> int:
    return EMBEDDING_SIZES.get(model, DEFAULT_EMBEDDING_SIZE)


def _known(*starts: str) -> list[str]:
    return [name for name in DATED if name.startswith(starts)]


def openai_list() -> dict[str, Any]:
    names = [*_known("gpt", "o"), "text-embedding-3-small", "text-embedding-3-large"]
    return {
        "object": "list",
        "data": [
            {"id": name, "object": "model", "created": _CREATED, "owned_by": "demo"}
            for name in names
        ],
    }


def anthropic_list() -> dict[str, Any]:
    data = [
        {
            "type": "model",
            "id": DATED[name],
            "display_name": name.removesuffix("-latest").replace("-", " ").title(),
            "created_at": "2025-01-01T00:00:00Z",
        }
        for name in _known("claude")
    ]
    return {
        "data": data,
        "has_more": False,
        "first_id": data[0]["id"],
        "last_id": data[-1]["id"],
    }


def gemini_list() -> dict[str, Any]:
    names = ("gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-embedding-001")
    return {
        "models": [
            {
                "name": f"models/{name}",
                "version": "001",
                "displayName": name.replace("-", " ").title(),
                "inputTokenLimit": 1_048_576,
                "outputTokenLimit": 65_536,
                "supportedGenerationMethods": (
                    ["embedContent", "batchEmbedContents"]
                    if "embedding" in name
                    else ["generateContent", "countTokens"]
                ),
            }
            for name in names
        ]
    }
