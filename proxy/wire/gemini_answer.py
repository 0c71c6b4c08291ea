"""An answer of Gemini's generateContent, from its chunks or its one document.

Owns what each chunk adds: later usage replaces earlier usage, calls and text are appended.
Refuses to know framings; the dialects that speak this format do.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from proxy.facts import Usage
from proxy.wire.gemini_usage import gemini_tier, gemini_usage
from proxy.wire.words import word

# Where enums are sent as integers; beyond these the Gemini API and Vertex number them differently.
_FINISH_REASONS = {1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER"}
# https://ai.google.dev/gemini-api/docs/google-search: these are billed by prompt, later ones by
# unique query that is not empty.
_BILLED_BY_PROMPT = re.compile(r"gemini-(live-)?(1|2)([.-]|$)")


class GeminiAnswer:
    """What has been read so far: `take` each chunk, then set `ended` where the framing says so.

    Names are in camelCase.
    """

    def __init__(self) -> None:
        self.model: str | None = None
        self.response_id: str | None = None
        self.ended = False
        self._usage: dict[str, Any] = {}
        self._reasons: dict[int, str | None] = {}
        self._calls: list[str] = []
        self._queries: dict[str, None] = {}
        self._block_reason: str | None = None

    @property
    def service_tier(self) -> str | None:
        return gemini_tier(self._usage)

    @property
    def finish_reasons(self) -> tuple[str, ...] | None:
        reasons = [self._reasons[index] for index in sorted(self._reasons)]
        return tuple(reason for reason in reasons if reason) or (
            (self._block_reason,) if self._block_reason else None
        )

    @property
    def tool_names(self) -> tuple[str, ...] | None:
        """The functions that the client has to run; None where more may have been called."""
        return tuple(self._calls) if self._calls or self.finished else None

    @property
    def tool_call_count(self) -> int | None:
        return len(self._calls) if self.finished else None

    @property
    def finished(self) -> bool:
        """Whether nothing more is to come."""
        given = bool(self._reasons) and all(self._reasons.values())
        return self.ended or given or self._block_reason is not None

    @property
    def usage(self) -> Usage | None:
        """None as long as more is to come: midway, counts are low, and not only the output's."""
        usage = gemini_usage(self._usage) if self.finished else None
        return usage and replace(usage, web_searches=self._searches())

    def take(self, chunk: dict[str, Any]) -> None:
        self.model = word(chunk.get("modelVersion")) or self.model
        self.response_id = word(chunk.get("responseId")) or self.response_id
        self._usage = _object(chunk.get("usageMetadata")) or self._usage
        reason = _enum(_object(chunk.get("promptFeedback")).get("blockReason"), {})
        self._block_reason = reason or self._block_reason
        for place, candidate in enumerate(_objects(chunk.get("candidates"))):
            self._take_candidate(place, candidate)

    def _take_candidate(self, place: int, candidate: dict[str, Any]) -> None:
        index = candidate.get("index")
        index = index if isinstance(index, int) else place
        reason = _enum(candidate.get("finishReason"), _FINISH_REASONS)
        self._reasons[index] = reason or self._reasons.get(index)
        queries = _object(candidate.get("groundingMetadata")).get("webSearchQueries")
        for query in queries if isinstance(queries, list) else []:
            if isinstance(query, str) and query:
                self._queries[query] = None
        for part in _objects(_object(candidate.get("content")).get("parts")):
            # In pieces, only the first bears a name; the others add arguments to it.
            if name := word(_object(part.get("functionCall")).get("name")):
                self._calls.append(name)

    def _searches(self) -> int | None:
        """The searches that are billed; None where the answer tells of none."""
        return billed_searches(self.model, len(self._queries))


def billed_searches(model: str | None, queries: int) -> int | None:
    """How many of the searches for one prompt are billed; None where none is told of."""
    if not queries:
        return None
    return 1 if model and _BILLED_BY_PROMPT.match(model) else queries


def chunk_text(chunk: dict[str, Any]) -> str:
    """The text that a chunk adds: words, thoughts, code and calls."""
    found: list[str] = []
    for candidate in _objects(chunk.get("candidates")):
        for part in _objects(_object(candidate.get("content")).get("parts")):
            call = _object(part.get("functionCall"))
            found += [word(part.get("text")) or "", word(call.get("name")) or ""]
            if call.get("args"):
                found.append(json.dumps(call["args"], ensure_ascii=False))
            found.append(word(_object(part.get("executableCode")).get("code")) or "")
    return "".join(found)


def _enum(value: Any, names: dict[int, str]) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and value:
        return names.get(value, str(value))
    return word(value)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
