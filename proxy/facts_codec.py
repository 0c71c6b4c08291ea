"""Readings as JSON, for a journal in which bodies may not be kept.

Owns the way there and back. What can only be computed from a body (the texts for an estimate) is
left out. Unknown keys are dropped when reading: a journal of another version stays readable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from decimal import Decimal, InvalidOperation
from typing import Any

from proxy.facts import Pass, ReplyFacts, RequestFacts, Usage
from proxy.reading import Reading

_SIMPLE: dict[type, tuple[str, ...]] = {
    RequestFacts: tuple(
        f.name for f in fields(RequestFacts) if f.name not in ("labels", "prompt_text")
    ),
    ReplyFacts: tuple(
        f.name
        for f in fields(ReplyFacts)
        if f.name not in ("finish_reasons", "tool_names", "usage", "text")
    ),
    Usage: tuple(f.name for f in fields(Usage) if f.name not in ("cost_usd", "passes")),
}


def facts_to_json(reading: Reading) -> dict[str, Any]:
    """A reading as plain JSON values; what is None is left out."""
    return _without_none(
        {
            "dialect": reading.dialect,
            "operation": reading.operation,
            "request": _request(reading.request) if reading.request else None,
            "reply": _reply(reading.reply) if reading.reply else None,
            "parse_error": reading.parse_error,
        }
    )


def facts_from_json(facts: dict[str, Any]) -> Reading:
    """The reading again. Raises ValueError for what `facts_to_json` cannot have written."""
    try:
        return Reading(
            dialect=facts.get("dialect"),
            operation=facts.get("operation"),
            request=_given(facts.get("request"), _request_from),
            reply=_given(facts.get("reply"), _reply_from),
            parse_error=facts.get("parse_error"),
        )
    except (TypeError, AttributeError, InvalidOperation) as error:
        raise ValueError(f"no facts: {error}") from error


def usage_to_json(usage: Usage) -> dict[str, Any]:
    values = _simple(Usage, usage)
    if not usage.units:
        del values["units"]
    if usage.cost_usd is not None:
        values["cost_usd"] = str(usage.cost_usd)
    if usage.passes:
        values["passes"] = [
            {"model": part.model, "usage": usage_to_json(part.usage)} for part in usage.passes
        ]
    return values


def usage_from_json(values: dict[str, Any]) -> Usage:
    cost = values.get("cost_usd")
    return Usage(
        **_known(Usage, values),
        cost_usd=None if cost is None else Decimal(cost),
        passes=tuple(
            Pass(model=part["model"], usage=usage_from_json(part["usage"]))
            for part in values.get("passes") or ()
        ),
    )


def _request(facts: RequestFacts) -> dict[str, Any]:
    values = _simple(RequestFacts, facts)
    if facts.labels:
        values["labels"] = dict(facts.labels)
    return values


def _request_from(values: dict[str, Any]) -> RequestFacts:
    return RequestFacts(**_known(RequestFacts, values), labels=values.get("labels") or {})


def _reply(facts: ReplyFacts) -> dict[str, Any]:
    values = _simple(ReplyFacts, facts)
    for name in ("finish_reasons", "tool_names"):
        if (words := getattr(facts, name)) is not None:
            values[name] = list(words)
    if facts.usage is not None:
        values["usage"] = usage_to_json(facts.usage)
    return values


def _reply_from(values: dict[str, Any]) -> ReplyFacts:
    return ReplyFacts(
        **_known(ReplyFacts, values),
        finish_reasons=_given(values.get("finish_reasons"), tuple),
        tool_names=_given(values.get("tool_names"), tuple),
        usage=_given(values.get("usage"), usage_from_json),
    )


def _simple(record: type, facts: Any) -> dict[str, Any]:
    return _without_none({name: getattr(facts, name) for name in _SIMPLE[record]})


def _known(record: type, values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in _SIMPLE[record] if name in values}


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _given(value: Any, read: Callable[[Any], Any]) -> Any:
    return None if value is None else read(value)
