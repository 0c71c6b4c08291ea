"""What a call is expected to use: every answer that it asks for, as long as it allows itself."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.calls.asked import Asked
from proxy.facts import RequestHead
from proxy.limits.claims import expected

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
GEMINI = "/v1beta/models/gemini-2.5-flash:generateContent"
PLACES = {CHAT: "openai", COMPLETIONS: "openai", GEMINI: "gemini", "/api/chat": "ollama"}


def made(path: str, members: dict[str, Any]) -> int:
    head = RequestHead(provider=PLACES[path], method="POST", target=path)
    return expected(Asked(head, orjson.dumps(members), {}), 1000)[1]


@pytest.mark.parametrize(
    ("path", "members", "tokens"),
    [
        (CHAT, {}, 1000),
        (CHAT, {"n": 8}, 8000),
        (CHAT, {"n": 8, "max_tokens": 50}, 400),
        (CHAT, {"n": 0}, 1000),
        (CHAT, {"n": True}, 1000),
        (CHAT, {"n": "many"}, 1000),
        (COMPLETIONS, {"prompt": "a", "best_of": 5}, 5000),
        (COMPLETIONS, {"prompt": "a", "n": 2, "best_of": 5, "max_tokens": 10}, 50),
        (COMPLETIONS, {"prompt": ["a", "b", "c"], "n": 2}, 6000),
        (COMPLETIONS, {"prompt": [1, 2, 3]}, 1000),
        (COMPLETIONS, {"prompt": [[1, 2], [3]]}, 2000),
        (COMPLETIONS, {"prompt": []}, 1000),
        (GEMINI, {"generationConfig": {"candidateCount": 8, "maxOutputTokens": 100}}, 800),
        (GEMINI, {"generation_config": {"candidate_count": 8, "max_output_tokens": 100}}, 800),
        (GEMINI, {"generationConfig": {"candidateCount": "8", "maxOutputTokens": 9.0}}, 72),
        (GEMINI, {"generationConfig": [8]}, 1000),
        ("/api/chat", {"options": {"num_predict": 64}}, 64),
        ("/api/chat", {"options": {"num_predict": -1}}, 1000),
    ],
    ids=str,
)
def test_every_answer_that_is_asked_for_counts(
    path: str, members: dict[str, Any], tokens: int
) -> None:
    assert made(path, members) == tokens


def test_embeddings_make_no_tokens() -> None:
    head = RequestHead(provider="openai", method="POST", target="/v1/embeddings")
    assert expected(Asked(head, b'{"input":"a","n":8}', {}), 1000)[1] == 0
