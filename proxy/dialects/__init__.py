"""The wire formats that Meterline reads, in the order in which they are asked.

Owns that order and the version of the reading code. Refuses to read anything itself.
"""

from __future__ import annotations

from proxy.dialects import (
    anthropic_batches,
    anthropic_messages,
    bedrock_converse,
    bedrock_invoke,
    chat_elsewhere,
    cohere_chat,
    cohere_embed,
    gemini_generate,
    gemini_interactions,
    gemini_live,
    ollama,
    openai_audio,
    openai_batches,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_images,
    openai_moderations,
    openai_realtime,
    openai_responses,
    replicate_predictions,
    rerank,
    vertex_predict,
    watsonx_generation,
)
from proxy.facts import Dialect, RequestHead, SessionKeys

PARSER_VERSION = 1
"""Each row bears it. It goes up with each release whose readers find other facts in the same bodies
than those of the release before: rows of a lower number may gain by being read again."""

DIALECTS: tuple[Dialect, ...] = (
    ollama.DIALECT,
    openai_chat.DIALECT,
    openai_completions.DIALECT,
    openai_responses.DIALECT,
    openai_embeddings.DIALECT,
    openai_images.DIALECT,
    openai_audio.DIALECT,
    openai_moderations.DIALECT,
    openai_batches.DIALECT,
    openai_realtime.DIALECT,
    anthropic_messages.DIALECT,
    anthropic_batches.DIALECT,
    gemini_generate.DIALECT,
    gemini_interactions.DIALECT,
    gemini_live.DIALECT,
    bedrock_converse.DIALECT,
    bedrock_invoke.DIALECT,
    chat_elsewhere.DIALECT,
    cohere_chat.DIALECT,
    cohere_embed.DIALECT,
    rerank.DIALECT,
    watsonx_generation.DIALECT,
    replicate_predictions.DIALECT,
    vertex_predict.DIALECT,
)


_SESSIONS = {
    dialect.DIALECT.name: dialect.SESSION_KEYS
    for dialect in (openai_responses, openai_realtime, gemini_live)
}


def find(head: RequestHead) -> tuple[Dialect, str] | None:
    """The dialect that claims a request, and the operation; None where no one does."""
    for dialect in DIALECTS:
        operation = dialect.operation(head)
        if operation is not None:
            return dialect, operation
    return None


def session_keys(head: RequestHead) -> SessionKeys | None:
    """What to look for in the messages of a WebSocket session, None where no dialect knows."""
    claimed = find(head)
    return _SESSIONS.get(claimed[0].name) if claimed else None
