"""Thirty days of believable traffic, with planted events and a ledger that knows the answers.

Owns the ways from a window to a store, a journal and a ledger. Everything follows from a seed.

    python -m sample_data.generator --out DIR --days 30 --seed 7 --end 2026-11-24
"""

from __future__ import annotations

from sample_data.generator.billing import price_book
from sample_data.generator.filling import (
    fill,
    fill_rows,
    has_sample,
    write_journal,
    write_settings,
)
from sample_data.generator.plan import Window

__all__ = [
    "Window",
    "fill",
    "fill_rows",
    "has_sample",
    "price_book",
    "write_journal",
    "write_settings",
]
