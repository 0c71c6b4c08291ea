"""The FOCUS export: one row per class of usage of each exchange, for FinOps tools.

Owns what each column says of an exchange. Costs of an exchange's rows add up to its `cost_usd`
exactly. FOCUS cannot say that a cost is unknown, so exchanges without a known cost, and classes
without a price, have no row; they are counted. The costs are what Meterline knows, not an
invoice: next to a provider's own FOCUS file they would count twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.csv as pacsv  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from analytics.exports import ExportRefused, Progress, appearing, days, rows
from analytics.exports.charges import INPUT, OUTPUT, REQUEST, Charge, Splitter
from analytics.exports.focus_columns import SCHEMA
from analytics.prices import PriceBook
from analytics.pricing.counts import OUTPUT_CLASSES, SEARCH
from analytics.queries import Selection
from analytics.usage_columns import COLUMNS as USAGE

_MILLION = 1_000_000
_GROUP_ROWS = 50_000
_COLUMNS = f"""CAST(exchange_id AS VARCHAR) AS exchange_id, started_at, provider, operation,
    outcome, request_model, response_model, service_tier, {", ".join(USAGE)}, usage_detail,
    usage_raw, provider_cost_usd, cost_usd, input_cost_usd, output_cost_usd, cost_status, price_ref,
    feature, user_id, session_id, environment, tags, key_id"""
METERS = {
    "input": "Input Tokens",
    "cache_read": "Cache Read Input Tokens",
    "cache_write": "Cache Write Input Tokens",
    "cache_write_1h": "Cache Write 1h Input Tokens",
    "audio_input": "Audio Input Tokens",
    "cached_audio_input": "Cache Read Audio Input Tokens",
    "image_input": "Image Input Tokens",
    "cached_image_input": "Cache Read Image Input Tokens",
    "output": "Output Tokens",
    "reasoning": "Reasoning Output Tokens",
    "audio_output": "Audio Output Tokens",
    "image_output": "Image Output Tokens",
    SEARCH: "Web Searches",
    INPUT: "Input Tokens, all",
    OUTPUT: "Output Tokens, all",
    REQUEST: "Requests",
}
_NAMES = {
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "gemini": "Google",
    "vertex": "Google Cloud",
    "azure": "Microsoft",
    "bedrock": "Amazon Web Services",
    "mistral": "Mistral AI",
    "groq": "Groq",
    "deepseek": "DeepSeek",
    "xai": "xAI",
    "cohere": "Cohere",
    "openrouter": "OpenRouter",
    "together": "Together AI",
    "fireworks": "Fireworks AI",
    "perplexity": "Perplexity",
    "cerebras": "Cerebras",
}
_SUBCATEGORIES = {
    "embeddings": "Natural Language Processing",
    "rerank": "Natural Language Processing",
    "moderation": "Natural Language Processing",
}
_LABELS = {
    "feature": "feature",
    "user_id": "user",
    "session_id": "session",
    "environment": "environment",
}


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was written, and the exchanges whose cost is not known, or only in part."""

    exchanges: int = 0
    charges: int = 0
    cost_usd: Decimal = Decimal(0)
    without_cost: int = 0
    partial: int = 0


def export(
    path: Path,
    target: Path,
    selection: Selection,
    book: PriceBook,
    *,
    account: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Tally:
    """Write the selected exchanges' charges to `target`: .csv or .parquet.

    `account` is the billing account's id, else the provider's name stands there. Raises
    ExportRefused, StoreError.
    """
    if target.suffix not in (".csv", ".parquet"):
        raise ExportRefused(f"--out {target}: name a file that ends in .csv or .parquet.")
    tally, splitter = Tally(), Splitter(book)
    found = days(path, selection)
    done, whole = 0, sum(day.exchanges for day in found)
    with appearing(target, overwrite=overwrite) as new, _writer(new, target.suffix) as write:
        for day in found:
            charges = _charges(rows(path, day.selection, _COLUMNS), splitter, account, tally)
            while group := list(islice(charges, _GROUP_ROWS)):
                write(pa.Table.from_pylist(group, schema=SCHEMA))
            done += day.exchanges
            if progress is not None:
                progress(done, whole)
    return tally


@contextmanager
def _writer(path: Path, suffix: str) -> Iterator[Callable[[pa.Table], None]]:
    if suffix == ".parquet":
        with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
            yield writer.write_table
        return
    schema = _as_text(SCHEMA.empty_table()).schema
    with pacsv.CSVWriter(path, schema) as writer:
        yield lambda table: writer.write_table(_as_text(table))


def _as_text(table: pa.Table) -> pa.Table:
    """Times as ISO 8601 in UTC and numbers in plain digits, as FOCUS writes them."""
    for number, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            whole = field.type.unit == "ms"  # periods begin and end with whole seconds
            times = table[number].cast(pa.timestamp("s", tz="UTC")) if whole else table[number]
            text = pc.strftime(times, format="%Y-%m-%dT%H:%M:%SZ")
            table = table.set_column(number, field.name, text)
    return table


def _charges(
    exchanges: Iterator[dict[str, Any]], splitter: Splitter, account: str | None, tally: Tally
) -> Iterator[dict[str, Any]]:
    for row in exchanges:
        charges = splitter.charges(row)
        tally.partial += row["cost_status"] == "partial"
        if not charges:
            tally.without_cost += row["cost_usd"] is None and row["cost_status"] is not None
            continue
        tally.exchanges += 1
        tally.charges += len(charges)
        tally.cost_usd += row["cost_usd"]
        common = _common(row, account)
        for charge in charges:
            yield common | _charge(row, charge)


def _common(row: Mapping[str, Any], account: str | None) -> dict[str, Any]:
    """The columns that all charges of an exchange share."""
    at: datetime = row["started_at"]
    hour = at.replace(minute=0, second=0, microsecond=0)
    month = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    provider = _NAMES.get(row["provider"] or "", row["provider"] or "unknown")
    return {
        "BillingAccountId": account or provider,
        "BillingCurrency": "USD",
        "BillingPeriodStart": month,
        "BillingPeriodEnd": (month + timedelta(days=32)).replace(day=1),
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": hour,
        "ChargePeriodEnd": hour + timedelta(hours=1),
        "HostProviderName": provider,
        "InvoiceIssuerName": provider,
        "PricingCategory": "Standard",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": f"{provider} API",
        "ServiceProviderName": provider,
        "ServiceSubcategory": _SUBCATEGORIES.get(row["operation"] or "", "Generative AI"),
        "Tags": _tags(row),
        "x_ExchangeId": row["exchange_id"],
        "x_StartedAt": at,
        "x_Model": row["response_model"] or row["request_model"],
        "x_Operation": row["operation"],
        "x_Outcome": row["outcome"],
        "x_KeyId": row["key_id"],
        "x_CostStatus": row["cost_status"],
        "x_PriceRef": row["price_ref"],
    }


def _charge(row: Mapping[str, Any], charge: Charge) -> dict[str, Any]:
    tokens = charge.meter not in (SEARCH, REQUEST)
    unit = "Tokens" if tokens else "Searches" if charge.meter == SEARCH else "Requests"
    quantity = Decimal(charge.quantity)
    priced = quantity / _MILLION if tokens else quantity
    model = row["response_model"] or row["request_model"] or "unknown"
    tier = row["service_tier"] or "standard"
    sku = f"{row['provider'] or 'unknown'}/{model}/{charge.meter}"
    cost, price = charge.cost_usd, _unit_price(charge.cost_usd, priced)
    return {
        **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), cost),
        **dict.fromkeys(("ContractedUnitPrice", "ListUnitPrice"), price),
        "ChargeDescription": f"{METERS[charge.meter]} of {model}",
        "ConsumedQuantity": quantity,
        "ConsumedUnit": unit,
        "PricingQuantity": priced,
        "PricingUnit": f"{_MILLION} Tokens" if tokens else unit,
        "SkuId": sku,
        "SkuMeter": METERS[charge.meter],
        "SkuPriceDetails": _details(charge.meter, model, tier),
        "SkuPriceId": f"{sku}/{tier}",
        "x_UnitPriceListed": charge.listed,
    }


def _unit_price(cost: Decimal, quantity: Decimal) -> Decimal:
    with localcontext(prec=38):
        return (cost / quantity).quantize(Decimal("1e-18"))


@lru_cache(maxsize=16_384)
def _details(meter: str, model: str, tier: str) -> str:
    """What tells one price of a model from another. Keys that are not FOCUS's begin with x_."""
    details = {"x_ModelId": model, "x_ServiceTier": tier}
    if meter not in (SEARCH, REQUEST):
        is_output = meter in (*OUTPUT_CLASSES, OUTPUT)
        details["x_TokenDirection"] = "Output" if is_output else "Input"
    if meter.startswith("cache"):
        details["x_TokenCacheAction"] = "Write" if "write" in meter else "Read"
    return orjson.dumps(details).decode()


def _tags(row: Mapping[str, Any]) -> str | None:
    """The labels; a free one that has the name of another is there as `tag/NAME`."""
    labels = {tag: row[name] for name, tag in _LABELS.items() if row[name] is not None}
    free = {f"tag/{k}" if k in labels else k: v for k, v in row["tags"] or ()}
    return orjson.dumps(labels | free).decode() if labels or free else None
