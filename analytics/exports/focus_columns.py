"""The columns of the FOCUS export: FOCUS 1.4, the dataset Cost and Usage.

Owns the specification's rules as data (https://focus.finops.org/focus-specification/v1-4/): which
columns there are, their types, which may be empty, which values are allowed. Columns that the
specification asks for only where an operating model has such a thing (regions, commitments,
invoices, sub accounts, ...) are left out where Meterline knows nothing of it. Columns of our own
come last and begin with `x_`.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa  # type: ignore[import-untyped]

VERSION = "1.4"

_TEXT, _MONEY = pa.string(), pa.decimal128(38, 18)
_TIME = pa.timestamp("ms", tz="UTC")


@dataclass(frozen=True, slots=True)
class FocusColumn:
    """A column: its type, and what the specification says of empty cells and of values."""

    name: str
    type: pa.DataType
    required: bool = True
    """No cell may be empty."""
    allowed: tuple[str, ...] | None = None


COLUMNS: tuple[FocusColumn, ...] = (
    FocusColumn("BilledCost", _MONEY),
    FocusColumn("BillingAccountId", _TEXT),
    FocusColumn("BillingAccountName", _TEXT, required=False),
    FocusColumn("BillingCurrency", _TEXT, allowed=("USD",)),
    FocusColumn("BillingPeriodEnd", _TIME),
    FocusColumn("BillingPeriodStart", _TIME),
    FocusColumn(
        "ChargeCategory", _TEXT, allowed=("Usage", "Purchase", "Tax", "Credit", "Adjustment")
    ),
    FocusColumn("ChargeClass", _TEXT, required=False, allowed=("Correction",)),
    FocusColumn("ChargeDescription", _TEXT, required=False),
    FocusColumn("ChargeFrequency", _TEXT, allowed=("One-Time", "Recurring", "Usage-Based")),
    FocusColumn("ChargePeriodEnd", _TIME),
    FocusColumn("ChargePeriodStart", _TIME),
    FocusColumn("ConsumedQuantity", _MONEY),
    FocusColumn("ConsumedUnit", _TEXT, allowed=("Tokens", "Searches", "Requests")),
    FocusColumn("ContractedCost", _MONEY),
    FocusColumn("ContractedUnitPrice", _MONEY),
    FocusColumn("EffectiveCost", _MONEY),
    FocusColumn("HostProviderName", _TEXT, required=False),
    FocusColumn("InvoiceIssuerName", _TEXT),
    FocusColumn("ListCost", _MONEY),
    FocusColumn("ListUnitPrice", _MONEY),
    FocusColumn("PricingCategory", _TEXT, allowed=("Standard", "Dynamic", "Committed", "Other")),
    FocusColumn("PricingQuantity", _MONEY),
    FocusColumn("PricingUnit", _TEXT, allowed=("1000000 Tokens", "Searches", "Requests")),
    FocusColumn("ServiceCategory", _TEXT, allowed=("AI and Machine Learning",)),
    FocusColumn("ServiceName", _TEXT),
    FocusColumn("ServiceProviderName", _TEXT),
    FocusColumn(
        "ServiceSubcategory",
        _TEXT,
        allowed=("Generative AI", "Natural Language Processing", "Machine Learning"),
    ),
    FocusColumn("SkuId", _TEXT),
    FocusColumn("SkuMeter", _TEXT),
    FocusColumn("SkuPriceDetails", _TEXT, required=False),
    FocusColumn("SkuPriceId", _TEXT),
    FocusColumn("Tags", _TEXT, required=False),
    FocusColumn("x_ExchangeId", _TEXT),
    FocusColumn("x_StartedAt", pa.timestamp("us", tz="UTC")),
    FocusColumn("x_Model", _TEXT, required=False),
    FocusColumn("x_Operation", _TEXT, required=False),
    FocusColumn("x_Outcome", _TEXT, required=False),
    FocusColumn("x_KeyId", _TEXT, required=False),
    FocusColumn(
        "x_CostStatus", _TEXT, allowed=("provider_reported", "priced", "estimated", "partial")
    ),
    FocusColumn("x_PriceRef", _TEXT, required=False),
    FocusColumn("x_UnitPriceListed", pa.bool_()),
)
SCHEMA = pa.schema([(column.name, column.type) for column in COLUMNS])
