"""The small committed data set: a week of exchanges as parquet, and its ledger.

    python -m sample_data.generator.week

Owns the two files beside this package. Made again, the ledger has the same bytes.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from analytics import store
from sample_data.generator.filling import fill
from sample_data.generator.plan import Window

FOLDER = Path(__file__).parent.parent
PARQUET = FOLDER / "week.parquet"
LEDGER = FOLDER / "week-ledger.jsonl.gz"
WINDOW = Window(end=datetime(2026, 11, 23, tzinfo=UTC), days=7, seed=7, scale=0.75)

# Identifiers as text: readers differ in what they make of parquet's own type for them.
_ROWS = (
    "SELECT * REPLACE (CAST(exchange_id AS VARCHAR) AS exchange_id) FROM exchanges "
    "ORDER BY started_at, exchange_id"
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        fill(
            Path(folder),
            days=WINDOW.days,
            end=WINDOW.end,
            seed=WINDOW.seed,
            scale=WINDOW.scale,
            contents=False,
            ledger=LEDGER,
        )
        with store.read(Path(folder) / store.NAME) as con:
            con.execute(
                f"COPY ({_ROWS}) TO '{store.quoted(PARQUET)}' (FORMAT parquet, COMPRESSION zstd)"
            )


if __name__ == "__main__":
    main()
