"""What the provider's messages of a Gemini live session say.

Owns adding up its turns: each message with usage tells what one stretch of generation used, the
context read again included, and all of them are billed. Refuses frames and paths; the dialect
knows them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from proxy.facts import ReplyFacts, Usage
from proxy.wire.counts import total
from proxy.wire.decode import loads
from proxy.wire.errors import error_facts
from proxy.wire.gemini_answer import billed_searches
from proxy.wire.gemini_usage import gemini_tier, live_usage
from proxy.wire.snake_case import camel_case
from proxy.wire.usage_sum import Used, summed
from proxy.wire.words import word

TELLING = (
    *(b'"usageMetadata"', b'"usage_metadata"', b'"setupComplete"', b'"setup_complete"'),
    *(b'"toolCall"', b'"tool_call"', b'"turnComplete"', b'"turn_complete"', b'"interrupted"'),
    *(b'"groundingMetadata"', b'"grounding_metadata"', b'"error"'),
)
"""Keys of the messages that tell more than sound and words. In a string they would be escaped."""


@dataclass(slots=True)
class LiveSession:
    """What has been heard so far; `asked` is the model that the client set up."""

    asked: str | None = None
    session_id: str | None = None
    tier: str | None = None
    turns: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    error: Any = None
    searches: int | None = None
    _queries: dict[str, None] = field(default_factory=dict)
    _interrupted: bool = False

    def hear(self, message: bytes) -> bool:
        """Take in one message; False where it cannot be read. Most bring sound and nothing else."""
        if not any(key in message for key in TELLING):
            return True
        try:
            told = camel_case(loads(message))
        except ValueError:
            return False
        if not isinstance(told, dict):
            return True
        if usage := _object(told.get("usageMetadata")):
            self.turns.append(usage)
            self.tier = gemini_tier(usage) or self.tier
        self.session_id = word(_object(told.get("setupComplete")).get("sessionId")) or (
            self.session_id
        )
        calls = _object(told.get("toolCall")).get("functionCalls")
        self.calls += [word(call.get("name")) or "" for call in _objects(calls)]
        self.error = told.get("error") or self.error
        self._hear_content(_object(told.get("serverContent")))
        return True

    def _hear_content(self, content: dict[str, Any]) -> None:
        """A turn that was interrupted is complete afterwards: it ended once."""
        queries = _object(content.get("groundingMetadata")).get("webSearchQueries")
        for query in queries if isinstance(queries, list) else ():
            if isinstance(query, str) and query:
                self._queries[query] = None  # told again and again within a turn
        self._interrupted |= content.get("interrupted") is True
        if content.get("turnComplete") is True:
            self._end_turn(word(content.get("turnCompleteReason")) or "turnComplete")

    def _end_turn(self, reason: str) -> None:
        self.reasons.append("interrupted" if self._interrupted else reason)
        searches = billed_searches(self.asked, len(self._queries))
        self.searches = total(self.searches, searches)
        self._queries, self._interrupted = {}, False

    def facts(self, *, all_heard: bool, parse_error: str | None) -> ReplyFacts:
        """The facts of the session. Of what was not all heard no sum is given."""
        if self._interrupted or self._queries:
            self._end_turn("")
        kind, message = error_facts(self.error)
        told = bool(self.reasons or self.calls)
        return ReplyFacts(
            response_id=self.session_id,
            service_tier=self.tier,
            finish_reasons=tuple(filter(None, self.reasons)) or None,
            tool_names=tuple(filter(None, self.calls)) or None,
            tool_call_count=len(self.calls) if all_heard and told else None,
            usage=self._usage() if all_heard else None,
            error_type=kind or ("error" if self.error else None),
            error_message=message,
            parse_error=parse_error,
        )

    def _usage(self) -> Usage | None:
        used = [Used(None, usage) for raw in self.turns if (usage := live_usage(raw))]
        usage = summed(used, None, {"turns": self.turns})
        return usage and replace(usage, web_searches=self.searches)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> Iterable[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else ()
