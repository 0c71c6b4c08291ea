"""The committed data set is what the generator makes, and small."""

from __future__ import annotations

import gzip
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import duckdb

from proxy.exchange import Exchange, columns
from sample_data.generator.days import Order, make
from sample_data.generator.ledger import LedgerWriter, read
from sample_data.generator.week import LEDGER, PARQUET, WINDOW


def test_the_ledger_is_made_again_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / LEDGER.name
    with closing(LedgerWriter(path, WINDOW)) as writer:
        for day in make(Order(WINDOW, contents=False, ledger=True)):
            writer.add(day.lines)
    assert gzip.decompress(path.read_bytes()) == gzip.decompress(LEDGER.read_bytes())


def test_parquet_and_ledger_tell_of_the_same_exchanges() -> None:
    ledger = read(LEDGER)
    with duckdb.connect() as con:
        found = con.execute(
            "SELECT exchange_id, cost_usd FROM read_parquet(?)", [str(PARQUET)]
        ).fetchall()
        names = {
            row[0]
            for row in con.execute("DESCRIBE FROM read_parquet(?)", [str(PARQUET)]).fetchall()
        }
    assert names <= {column.name for column in columns(Exchange)}
    told = {line["exchange_id"]: line["cost_usd"] for line in ledger.exchanges}
    assert dict(found) == {
        exchange_id: None if cost is None else Decimal(cost) for exchange_id, cost in told.items()
    }


def test_both_files_stay_small() -> None:
    assert PARQUET.stat().st_size + LEDGER.stat().st_size < 1_500_000
