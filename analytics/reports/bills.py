"""Providers' exports of usage and cost, as lines of one form.

Owns which members and headers mean what: the JSON of OpenAI's and Anthropic's usage and cost
reports, their CSV exports, Google's billing CSV, and any CSV whose headers say it or are mapped.
Refuses to guess a number: what cannot be read is an error that names the line.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

FIELDS = ("day", "model", "input_tokens", "output_tokens", "requests", "cost_usd")
"""What a line can say; the names that `columns` maps."""
_ALIASES: Mapping[str, tuple[str, ...]] = {
    "day": (
        *("date", "day", "usage_date_utc", "usage_date", "usage_start_date", "start_time_iso"),
        *("start_time", "starting_at", "bucket_start_time", "timestamp", "time", "datum"),
    ),
    "model": (
        *("model", "model_version", "model_name", "model_id", "snapshot_id", "line_item"),
        *("sku_description", "sku", "description"),
    ),
    "input_tokens": (
        *("input_tokens", "prompt_tokens", "n_context_tokens_total", "context_tokens"),
        *("total_input_tokens", "tokens_in"),
    ),
    "output_tokens": (
        *("output_tokens", "usage_output_tokens", "completion_tokens"),
        *("n_generated_tokens_total", "generated_tokens", "total_output_tokens", "tokens_out"),
    ),
    "requests": ("num_model_requests", "requests", "n_requests", "request_count", "api_requests"),
    "cost_usd": (
        *("cost_usd", "amount_value", "cost", "total_cost", "amount", "cost_in_usd", "usd"),
        *("subtotal", "amount_usd"),
    ),
}
_ALSO_INPUT = (
    *("usage_input_tokens_no_cache", "uncached_input_tokens"),
    *("usage_input_tokens_cache_write_5m", "usage_input_tokens_cache_write_1h"),
    *("usage_input_tokens_cache_read", "cache_read_input_tokens", "cache_creation_input_tokens"),
)
"""Classes of input that Anthropic names apart: together they are all input."""
_CURRENCIES = ("currency", "amount_currency", "billing_currency")
_NOT_WORD = re.compile(r"[^a-z0-9]+")
_GOOGLE = ("sku_description", "service_description")


class BadBill(ValueError):
    """The file cannot be read as an export; the message says where and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a provider says of one day and model. Unknown is None."""

    day: date
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    requests: int | None = None
    cost_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """An export. `provider` None where the file does not tell whose it is."""

    kind: str
    provider: str | None
    lines: list[Line]


def read_bill(data: bytes, columns: Mapping[str, str] | None = None) -> Bill:
    """An export as lines; `columns` maps a field to the CSV header that says it. Raises BadBill."""
    text = data.decode("utf-8-sig", "replace").strip()
    if not text:
        raise BadBill("the file is empty.")
    if text[0] in "[{":
        return _json_bill(text)
    return _csv_bill(text, columns or {})


def _json_bill(text: str) -> Bill:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadBill(f"it begins like JSON and is none: {error}.") from None
    found = list(_results(document, None))
    if not found:
        raise BadBill("there is no usage or cost in it: no `results` in `data`.")
    kind, provider = _kind_of(found[0][1])
    return Bill(
        kind=kind, provider=provider, lines=[_json_line(start, each) for start, each in found]
    )


def _results(value: Any, start: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Every result with the beginning of its bucket, in pages, lists of pages, or bare lists."""
    if isinstance(value, list):
        for each in value:
            yield from _results(each, start)
    elif isinstance(value, dict):
        begins = next((value[name] for name in _ALIASES["day"] if name in value), start)
        if "results" in value or "data" in value:
            yield from _results(value.get("results", value.get("data")), begins)
        elif begins is not None:
            yield begins, value


def _kind_of(result: Mapping[str, Any]) -> tuple[str, str | None]:
    kind = str(result.get("object", ""))
    if kind.startswith("organization."):
        return "OpenAI " + ("costs" if "costs" in kind else "usage"), "openai"
    if "uncached_input_tokens" in result:
        return "Anthropic usage", "anthropic"
    if "cost_type" in result or ("amount" in result and isinstance(result["amount"], str)):
        return "Anthropic costs", "anthropic"
    return "JSON", None


def _json_line(start: Any, result: Mapping[str, Any]) -> Line:
    amount = result.get("amount")
    cost: Decimal | None = None
    if isinstance(amount, dict):
        _check_currency(amount.get("currency"))
        cost = _decimal(amount.get("value"))
    elif isinstance(amount, str):  # Anthropic: in cents
        _check_currency(result.get("currency"))
        cost = (_decimal(amount) or Decimal(0)).scaleb(-2)
    else:
        cost = _decimal(next((result[n] for n in _ALIASES["cost_usd"] if n in result), None))
    written = result.get("cache_creation")
    flat = {**result, **(written if isinstance(written, dict) else {})}
    parts = (*_ALSO_INPUT, "ephemeral_1h_input_tokens", "ephemeral_5m_input_tokens")
    return Line(
        day=_day(start),
        model=_model(_first(result, "model") or result.get("description")),
        input_tokens=_input(flat, parts),
        output_tokens=_whole(_first(result, "output_tokens")),
        requests=_whole(_first(result, "requests")),
        cost_usd=cost,
    )


def _first(values: Mapping[str, Any], field: str) -> Any:
    return next((values[name] for name in _ALIASES[field] if values.get(name) is not None), None)


def _input(values: Mapping[str, Any], parts: tuple[str, ...]) -> int | None:
    """All input: as one number, or as the sum of its classes."""
    if any(name in values for name in ("uncached_input_tokens", "usage_input_tokens_no_cache")):
        return sum(_whole(values.get(name)) or 0 for name in parts)
    return _whole(_first(values, "input_tokens"))


def _csv_bill(text: str, columns: Mapping[str, str]) -> Bill:
    sample = text[:4096]
    try:
        dialect: Any = csv.Sniffer().sniff(sample, delimiters=",;\t")
    except csv.Error:
        dialect = csv.excel
    rows = csv.reader(io.StringIO(text), dialect)
    heads = [_word(each) for each in next(rows)]
    places = _places(heads, columns)
    lines = []
    for number, row in enumerate(rows, 2):
        if any(cell.strip() for cell in row):
            try:
                lines.append(_csv_line(dict(zip(heads, row, strict=False)), places))
            except BadBill as error:
                raise BadBill(f"line {number}: {error}") from None
    kind, provider = _csv_kind(heads)
    return Bill(kind=kind, provider=provider, lines=lines)


def _places(heads: list[str], columns: Mapping[str, str]) -> dict[str, str]:
    """By field the header that says it."""
    places = {}
    for field in FIELDS:
        wanted = [_word(columns[field])] if field in columns else list(_ALIASES[field])
        if (found := next((name for name in wanted if name in heads), None)) is not None:
            places[field] = found
        elif field in columns:
            raise BadBill(f"there is no column {columns[field]!r}. There are: {', '.join(heads)}.")
    if "day" not in places:
        raise BadBill(
            f"no column says the day. There are: {', '.join(heads)}. "
            "Name it: --columns day=HEADER,model=HEADER,cost_usd=HEADER."
        )
    tokens = {"input_tokens", "output_tokens"} & set(places) or set(_ALSO_INPUT) & set(heads)
    if not tokens and "cost_usd" not in places:
        raise BadBill(
            f"no column says tokens or cost. There are: {', '.join(heads)}. "
            "Name one: --columns cost_usd=HEADER or input_tokens=HEADER,output_tokens=HEADER."
        )
    return places


def _csv_line(row: Mapping[str, str], places: Mapping[str, str]) -> Line:
    values = {field: row.get(head, "").strip() or None for field, head in places.items()}
    for name in _CURRENCIES:
        if row.get(name):
            _check_currency(row[name])
    parts = _input(row, _ALSO_INPUT) if "input_tokens" not in places else None
    return Line(
        day=_day(values["day"]),
        model=_model(values.get("model")),
        input_tokens=_whole(values.get("input_tokens")) if parts is None else parts,
        output_tokens=_whole(values.get("output_tokens")),
        requests=_whole(values.get("requests")),
        cost_usd=_decimal(values.get("cost_usd")),
    )


def _csv_kind(heads: list[str]) -> tuple[str, str | None]:
    if any(head in heads for head in _GOOGLE):
        return "Google billing CSV", "google"
    if "usage_date_utc" in heads or set(_ALSO_INPUT) & set(heads):
        return "Anthropic CSV", "anthropic"
    if "num_model_requests" in heads or "amount_value" in heads:
        return "OpenAI CSV", "openai"
    return "CSV", None


def _word(text: str) -> str:
    return _NOT_WORD.sub("_", text.strip().lower()).strip("_")


def _check_currency(text: Any) -> None:
    if text and str(text).strip().upper() != "USD":
        raise BadBill(f"amounts are in {text}: only US dollars can be compared.")


def _model(value: Any) -> str | None:
    """A line item of OpenAI is `gpt-4.1-2025-04-14, input`."""
    text = str(value or "").split(", ")[0].strip()
    return text or None


def _day(value: Any) -> date:
    """A day, or the UTC day of a moment: seconds since 1970, or a time with its zone."""
    text = str(value or "").strip()
    try:
        if re.fullmatch(r"\d{9,11}(\.\d+)?", text):
            return datetime.fromtimestamp(float(text), UTC).date()
        text = text.replace("/", "-").replace(" UTC", "+00:00")
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise BadBill(f"{value!r} is no day. Write days as 2026-11-01.") from None
    return (found.astimezone(UTC) if found.tzinfo else found).date()


def _decimal(value: Any) -> Decimal | None:
    text = str(value if value is not None else "").strip().lstrip("$").replace(",", "").strip()
    if not text:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise BadBill(f"{value!r} is no number.") from None
    if not number.is_finite():
        raise BadBill(f"{value!r} is no number.")
    return number


def _whole(value: Any) -> int | None:
    number = _decimal(value)
    return None if number is None else int(number)
