"""The FOCUS export, held against rules written here from the text of the specification.

The FOCUS project has a validator of its own on the package index, focus-validator. Its newest
release, 1.0.0, has rules for 0.5, 1.0-preview and 1.0 alone, so what 1.4 added it cannot judge, and
it wants a numpy below 2. So the columns that 1.4 requires, their types, allowed values and what
they must agree on are written out below.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from analytics import store
from analytics.exports import ExportRefused, focus
from analytics.exports.focus_columns import COLUMNS, SCHEMA
from analytics.prices import PriceBook
from analytics.queries import Selection
from analytics.usage_columns import to_columns
from proxy.config import Settings
from proxy.facts import Pass, Usage
from tests.analytics.exports.conftest import NOON, Put, Run

BOOK = PriceBook()

# The columns that a Cost and Usage dataset has to include whatever the operating model, and those
# that ours includes because it meters usage by unit prices and has tags (FOCUS 1.4).
MANDATORY = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "EffectiveCost",
    "HostProviderName",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ServiceCategory",
    "ServiceName",
    "ServiceProviderName",
)
CONDITIONAL = (
    "ChargeFrequency",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ListUnitPrice",
    "PricingCategory",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "SkuPriceId",
    "Tags",
)
COSTS = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost")


def priced(usage: Usage, **more: Any) -> dict[str, Any]:
    """A row as the poster would make it."""
    given: dict[str, Any] = {
        "provider": "openai",
        "request_model": "gpt-4o",
        "response_model": "gpt-4o-2024-08-06",
        "service_tier": None,
        "operation": "chat",
        "started_at": NOON,
    } | more
    names = ("provider", "request_model", "response_model", "service_tier", "operation")
    cost = BOOK.cost(
        usage=usage,
        usage_source="provider",
        started_at=given["started_at"],
        **{name: given[name] for name in names},
    )
    return {
        **given,
        **to_columns(usage),
        "cost_usd": cost.cost_usd,
        "input_cost_usd": cost.input_cost_usd,
        "output_cost_usd": cost.output_cost_usd,
        "cost_status": cost.cost_status,
        "price_ref": cost.price_ref,
    }


CLAUDE: dict[str, Any] = {
    "provider": "anthropic",
    "request_model": "claude-sonnet-4-5",
    "response_model": "claude-sonnet-4-5-20250929",
}
EVERY_CLASS = Usage(
    input_tokens=10_000,
    cache_read_tokens=6_000,
    cache_write_tokens=1_500,
    cache_write_1h_tokens=500,
    output_tokens=900,
    reasoning_tokens=300,
    web_searches=2,
)
VARIETY = (
    priced(EVERY_CLASS, **CLAUDE),
    priced(Usage(input_tokens=333_333, cache_read_tokens=7, output_tokens=1), **CLAUDE),
    priced(Usage(input_tokens=1_001, cache_read_tokens=512, output_tokens=77, reasoning_tokens=13)),
    priced(Usage(input_tokens=0, output_tokens=0)),
    priced(Usage(input_tokens=9), operation="embeddings", request_model="text-embedding-3-small",
           response_model=None),
    priced(Usage(input_tokens=100, output_tokens=10, cost_usd=Decimal("0.00123456789")),
           provider="openrouter", request_model="openai/gpt-4o", response_model=None),
    priced(Usage(input_tokens=100, output_tokens=10, cost_usd=Decimal("0.7"))),
    priced(Usage(input_tokens=100, output_tokens=10, cost_usd=Decimal("0.1")),
           provider="openrouter", request_model="nobody/knows-it", response_model=None),
    priced(Usage(input_tokens=100, output_tokens=10, audio_input_tokens=40)),
    priced(Usage(input_tokens=900, output_tokens=20,
                 passes=(Pass(model="claude-haiku-4-5", usage=Usage(input_tokens=400)),)),
           **CLAUDE),
    priced(Usage(input_tokens=100, output_tokens=10), request_model="nobody-knows-it",
           response_model=None),
)  # fmt: skip


def written(settings: Settings, tmp_path: Path) -> pa.Table:
    target = tmp_path / "focus.parquet"
    focus.export(settings.store_path, target, Selection(), BOOK, overwrite=True)
    return pq.read_table(target)


def faults(table: pa.Table) -> list[str]:
    """What of the table is not as the specification says."""
    found = [
        f"no column {name}" for name in (*MANDATORY, *CONDITIONAL) if name not in table.schema.names
    ]
    for column in COLUMNS:
        values = table[column.name].to_pylist()
        if table.schema.field(column.name).type != column.type:
            found.append(f"{column.name}: type {table.schema.field(column.name).type}")
        if column.required and None in values:
            found.append(f"{column.name}: empty")
        if column.allowed and not {*values} <= {*column.allowed, None}:
            found.append(f"{column.name}: {set(values)}")
    for row in table.to_pylist():
        found += list(row_faults(row))
    return found


def row_faults(row: dict[str, Any]) -> list[str]:
    """Rules of FOCUS that bind several columns of one row."""
    checks = {
        "usage is not empty": row["ConsumedQuantity"] > 0 and row["PricingQuantity"] > 0,
        "cost is unit price times quantity": all(
            abs(row[cost] - row[price] * row["PricingQuantity"]) <= Decimal("1e-12")
            for cost, price in (
                ("ListCost", "ListUnitPrice"),
                ("ContractedCost", "ContractedUnitPrice"),
            )
        ),
        "costs without discounts are equal": len({row[name] for name in COSTS}) == 1,
        "costs are not negative": row["BilledCost"] >= 0,
        "charge period is within the billing period": row["BillingPeriodStart"]
        <= row["ChargePeriodStart"]
        < row["ChargePeriodEnd"]
        <= row["BillingPeriodEnd"],
        "tags are an object of texts": row["Tags"] is None
        or all(isinstance(value, str) for value in orjson.loads(row["Tags"]).values()),
        "price details are an object with prefixed keys": all(
            key.startswith("x_") for key in orjson.loads(row["SkuPriceDetails"])
        ),
        "a price has one parent": row["SkuPriceId"].startswith(row["SkuId"]),
    }
    return [rule for rule, holds in checks.items() if not holds]


def test_columns_have_the_specifications_names_and_ours_come_last() -> None:
    names = SCHEMA.names
    ours = [name.startswith("x_") for name in names]
    assert ours == sorted(ours)
    standard = [name for name in names if not name.startswith("x_")]
    assert all(re.fullmatch(r"([A-Z][a-z]+)+", name) and len(name) <= 50 for name in standard)
    assert all(a < b for a, b in pairwise(standard))
    assert set(standard) >= {*MANDATORY, *CONDITIONAL}


def test_every_row_keeps_the_specifications_rules(
    settings: Settings, put: Put, tmp_path: Path
) -> None:
    put(*VARIETY)
    table = written(settings, tmp_path)
    assert table.num_rows > 20
    assert faults(table) == []


def test_charges_of_an_exchange_add_up_to_its_cost_exactly(
    settings: Settings, put: Put, tmp_path: Path
) -> None:
    ids = put(*VARIETY)
    sums: dict[str, Decimal] = {}
    for row in written(settings, tmp_path).to_pylist():
        sums[row["x_ExchangeId"]] = sums.get(row["x_ExchangeId"], Decimal(0)) + row["BilledCost"]
    for exchange_id, values in zip(ids, VARIETY, strict=True):
        assert sums.get(exchange_id, Decimal(0)) == (values["cost_usd"] or 0), values


def test_each_class_of_usage_has_its_row_at_its_listed_price(
    settings: Settings, put: Put, tmp_path: Path
) -> None:
    put(priced(EVERY_CLASS, **CLAUDE))
    rows = {row["SkuMeter"]: row for row in written(settings, tmp_path).to_pylist()}
    prices = {meter: (row["ConsumedQuantity"], row["ListUnitPrice"]) for meter, row in rows.items()}
    assert prices == {
        "Input Tokens": (2500, 3),
        "Cache Read Input Tokens": (6000, Decimal("0.3")),
        "Cache Write Input Tokens": (1000, Decimal("3.75")),
        "Cache Write 1h Input Tokens": (500, 6),
        "Output Tokens": (600, 15),
        "Reasoning Output Tokens": (300, 15),
        "Web Searches": (2, Decimal("0.01")),
    }
    assert all(row["x_UnitPriceListed"] for row in rows.values())
    assert {row["PricingUnit"] for row in rows.values()} == {"1000000 Tokens", "Searches"}
    assert rows["Input Tokens"]["PricingQuantity"] == Decimal("0.0025")


def test_a_cost_that_nobody_can_split_stays_one_charge(
    settings: Settings, put: Put, tmp_path: Path
) -> None:
    put(VARIETY[7])
    (row,) = written(settings, tmp_path).to_pylist()
    assert (row["ConsumedUnit"], row["ConsumedQuantity"]) == ("Requests", 1)
    assert row["BilledCost"] == Decimal("0.1")


def test_unknown_costs_are_left_out_and_counted(
    settings: Settings, put: Put, tmp_path: Path
) -> None:
    put(priced(Usage(input_tokens=1, output_tokens=1), request_model="x", response_model=None), {})
    tally = focus.export(settings.store_path, tmp_path / "f.csv", Selection(), BOOK)
    assert (tally.exchanges, tally.without_cost) == (1, 1)


def test_labels_are_tags_and_a_free_one_of_the_same_name_is_not_lost(
    settings: Settings, put: Put, tmp_path: Path
) -> None:
    put({"feature": "chat", "user_id": "ana", "tags": {"feature": "other", "team": "blue"}})
    row = written(settings, tmp_path).to_pylist()[0]
    assert orjson.loads(row["Tags"]) == {
        "feature": "chat",
        "user": "ana",
        "tag/feature": "other",
        "team": "blue",
    }


def test_csv_has_times_in_utc_and_numbers_in_plain_digits(
    settings: Settings, put: Put, tmp_path: Path
) -> None:
    put({"started_at": datetime(2026, 12, 31, 23, 30, tzinfo=UTC)})
    focus.export(settings.store_path, tmp_path / "f.csv", Selection(), BOOK, account="acct-1")
    frame = pl.read_csv(tmp_path / "f.csv", infer_schema=False)
    assert frame.columns == SCHEMA.names
    row = frame.row(0, named=True)
    assert row["BillingPeriodStart"] == "2026-12-01T00:00:00Z"
    assert row["BillingPeriodEnd"] == "2027-01-01T00:00:00Z"
    assert row["ChargePeriodStart"] == "2026-12-31T23:00:00Z"
    assert row["BillingAccountId"] == "acct-1"
    assert re.fullmatch(r"-?\d+(\.\d+)?", row["BilledCost"])
    types = pacsv.ConvertOptions(column_types={name: SCHEMA.field(name).type for name in COSTS})
    sums = pacsv.read_csv(tmp_path / "f.csv", convert_options=types)["BilledCost"].to_pylist()
    assert sum(sums) == Decimal("0.003")


def test_an_empty_window_gives_a_file_with_columns_only(
    settings: Settings, put: Put, tmp_path: Path
) -> None:
    put({})
    selection = Selection(values={"feature": ["none such"]})
    for name in ("f.csv", "f.parquet"):
        assert focus.export(settings.store_path, tmp_path / name, selection, BOOK).charges == 0
    assert pq.read_table(tmp_path / "f.parquet").schema.equals(SCHEMA)
    assert (tmp_path / "f.csv").read_text().count("\n") == 1


def test_other_suffixes_and_existing_files_are_refused(
    settings: Settings, put: Put, tmp_path: Path, run: Run
) -> None:
    put({})
    with pytest.raises(ExportRefused, match=r"\.csv or \.parquet"):
        focus.export(settings.store_path, tmp_path / "f.xlsx", Selection(), BOOK)
    target = tmp_path / "f.csv"
    assert run("export", "focus", "--out", str(target), "--last", "all")[0] == 0
    code, said = run("export", "focus", "--out", str(target), "--last", "all")
    assert code == 2
    assert "is there already" in said


def test_view_adds_up_to_the_same(settings: Settings, put: Put) -> None:
    put(*VARIETY)
    with store.read(settings.store_path) as con:
        found = con.execute(
            "SELECT sum(BilledCost) FROM focus UNION ALL SELECT sum(cost_usd) FROM exchanges"
        ).fetchall()
        names = [column[0] for column in con.execute("FROM focus").description or ()]
    assert found[0] == found[1]
    assert not {*MANDATORY} - {*names}
