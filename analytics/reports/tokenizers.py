"""How many tokens the same text is for another maker's models.

Owns the families of models with one tokenizer, and the factor between two of them: measured on the
exchanges that are stored, where their texts are, else assumed. Refuses to claim more than that: a
factor comes with where it is from and how far it may be off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal

import duckdb
import orjson

from analytics.queries import MODEL
from analytics.tokens import estimate
from proxy.facts import RequestHead
from proxy.reading import Copied, read

_FAMILIES = (
    ("anthropic", re.compile(r"claude")),
    ("openai", re.compile(r"gpt-(?!oss)|(?:^|[/.])o\d|chatgpt|codex|gpt-oss")),
    ("google", re.compile(r"gemini|gemma")),
    ("mistral", re.compile(r"mi[sx]tral|codestral|devstral|magistral")),
    ("llama", re.compile(r"llama")),
    ("deepseek", re.compile(r"deepseek")),
    ("qwen", re.compile(r"qwen|qwq")),
    ("cohere", re.compile(r"command|cohere")),
    ("xai", re.compile(r"grok")),
)
ASSUMED: Mapping[str, float] = {"openai": 1.0, "anthropic": 1.15}
"""Tokens per token of OpenAI's newer vocabulary, for families that could not be measured; 1 for all
that are not listed. Rough values for English text and code."""
ASSUMED_ERROR = 0.15
_SAMPLES = 40
_FEWEST_SAMPLES = 10
_LEAST_ERROR = 0.02
_LONGEST_CHARACTERS = 20_000
_LARGEST_BYTES = 100_000

Origin = Literal["same", "measured", "assumed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """Tokens there for one here, and the share by which that may be off."""

    value: float
    error: float
    origin: Origin


def family(model: str | None) -> str | None:
    """The family of models that count as this one does, None for one nobody here knows."""
    name = (model or "").lower()
    return next((family for family, pattern in _FAMILIES if pattern.search(name)), None)


class Tokenizers:
    """The factors between families, measured once for each that is asked about."""

    def __init__(self, con: duckdb.DuckDBPyConnection, where: str, parameters: list[Any]) -> None:
        self._con = con
        self._where = where
        self._parameters = parameters
        self._known: dict[str | None, tuple[float, float] | None] = {}

    def factor(self, model: str | None, target: str) -> Factor:
        """What one token of `model` is for `target`."""
        here, there = family(model), family(target)
        if model == target or (here == there and here is not None):
            return Factor(value=1.0, error=0.0, origin="same")
        measured, other = self._measured(here), self._measured(there)
        if measured and other:
            error = sqrt(measured[1] ** 2 + other[1] ** 2)
            return Factor(value=other[0] / measured[0], error=error, origin="measured")
        value = ASSUMED.get(there or "", 1.0) / ASSUMED.get(here or "", 1.0)
        return Factor(value=value, error=ASSUMED_ERROR, origin="assumed")

    def _measured(self, name: str | None) -> tuple[float, float] | None:
        if name not in self._known:
            self._known[name] = None if name is None else _measure(self._samples(name))
        return self._known[name]

    def _samples(self, name: str) -> Iterable[dict[str, Any]]:
        pattern = next(pattern.pattern for each, pattern in _FAMILIES if each == name)
        # RE2 has no lookahead: what it lets through too much is sorted out by name below.
        simple = re.sub(r"\(\?![^)]*\)", "", pattern)
        chosen = self._con.execute(
            f"""SELECT CAST(exchange_id AS VARCHAR), {MODEL}, provider, method, input_tokens
            FROM exchanges
            WHERE {self._where} AND usage_source = 'provider' AND input_tokens > 0
                AND operation IN ('chat', 'text_completion', 'generate_content')
                AND regexp_matches(lower({MODEL}), ?) AND request_bytes < {_LARGEST_BYTES}
                AND exchange_id IN (SELECT exchange_id FROM contents)
            ORDER BY hash(exchange_id) LIMIT {_SAMPLES}""",
            [*self._parameters, simple],
        ).fetchall()
        names = ("model", "provider", "method", "input_tokens")
        rows = {row[0]: dict(zip(names, row[1:], strict=True)) for row in chosen}
        texts = self._con.execute(
            """SELECT CAST(exchange_id AS VARCHAR), target, request_headers, request_body
            FROM contents WHERE request_gap IS NULL AND request_body IS NOT NULL
                AND exchange_id IN (SELECT CAST(unnest(?::VARCHAR[]) AS UUID))
            ORDER BY exchange_id""",
            [list(rows)],
        ).fetchall()
        members = ("target", "request_headers", "request_body")
        full = [rows[key] | dict(zip(members, values, strict=True)) for key, *values in texts]
        return [row for row in full if family(row["model"]) == name]


def _measure(rows: Iterable[dict[str, Any]]) -> tuple[float, float] | None:
    """Reported tokens per counted one, by the sums of both, and their relative standard error."""
    pairs = [(row["input_tokens"], count) for row in rows if (count := _counted(row))]
    if len(pairs) < _FEWEST_SAMPLES:
        return None
    reported, counted = sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
    ratio = reported / counted
    spread = sum((told - ratio * count) ** 2 for told, count in pairs) / (len(pairs) - 1)
    error = sqrt(spread / len(pairs)) / (reported / len(pairs))
    return ratio, max(2 * error, _LEAST_ERROR)


def _counted(row: Mapping[str, Any]) -> int:
    """The tokens of a request's text in OpenAI's newer vocabulary; 0 where it cannot be read."""
    head = RequestHead(
        provider=row["provider"] or "",
        method=row["method"] or "POST",
        target=row["target"] or "",
        headers=dict(orjson.loads(row["request_headers"] or "[]")),
    )
    facts = read(head, Copied(bytes(row["request_body"])), None, {}, Copied(b"")).request
    if facts is None or facts.prompt_text is None:
        return 0
    text = facts.prompt_text()
    return estimate(text, "gpt-4o") if len(text) <= _LONGEST_CHARACTERS else 0
