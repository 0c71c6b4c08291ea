"""What a simulation leaves out: what shows only live, or stands in bodies that are not stored.

Owns naming it, rule by rule, and counting the exchanges that it is left out of: those that came to
the rule and met its conditions. Refuses to guess what would have become of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from proxy.rules.guarding import Guardrail
from proxy.rules.settings import Rule

MEANING = "hits by meaning"
CHECKER = "what its webhook would say"
ANSWERS = "what stands in answers"
QUICKER = "which destination is the quicker one"
NOT_STORED = "requests whose bodies are not stored"
Part = tuple[str, str]
"""A rule and one of the above."""
Counts = Counter[Part]


def of_guardrail(rule: Guardrail) -> Iterator[str]:
    if rule.webhook is not None:
        yield CHECKER
    if "answer" in rule.on:
        yield ANSWERS


def parts(rules: Sequence[Rule]) -> list[Part]:
    """What the rules in force have that shows only live."""
    return [(rule.name, part) for rule in rules if rule.enabled for part in _of(rule)]


def _of(rule: Rule) -> Iterator[str]:
    if rule.balance is not None and rule.balance.by == "latency":
        yield QUICKER
    if rule.cache is not None and rule.cache.semantic is not None:
        yield MEANING
    if rule.guardrail is not None:
        yield from of_guardrail(rule.guardrail)


def listed(rules: Sequence[Rule], counts: Mapping[Part, int]) -> pl.DataFrame:
    """`rule`, `part` and of how many `exchanges` it is left out, also of none."""
    found = {**dict.fromkeys(parts(rules), 0), **counts}
    rows = [(rule, part, count) for (rule, part), count in found.items()]
    schema = {"rule": pl.String, "part": pl.String, "exchanges": pl.Int64}
    return pl.DataFrame(rows, schema, orient="row")
