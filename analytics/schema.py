"""The store's tables: SQL, Arrow and the documented table, all derived from the record.

Owns which record lies in which table, and the tables that only the poster needs. Refuses to know
how a store is opened or changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from operator import attrgetter
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]

from analytics import hours
from proxy.exchange import (
    MONEY,
    Attempt,
    Column,
    Content,
    Decision,
    Exchange,
    Loss,
    columns,
)

RECORDS: dict[str, type] = {
    "exchanges": Exchange,
    "attempts": Attempt,
    "decisions": Decision,
    "contents": Content,
    "losses": Loss,
}

_ZSTD_TYPES = ("BLOB", "VARCHAR", "JSON")
_ZSTD_TABLES = ("contents",)

POSTER_TABLES: dict[str, str] = {
    "meta": "key VARCHAR NOT NULL, value VARCHAR",
    # How far each segment of the journal is posted; finished: sealed and read to its end.
    "segments": "segment VARCHAR NOT NULL, position BIGINT NOT NULL, finished BOOLEAN NOT NULL",
    # Where the frames of exchanges lie that have begun and not ended.
    "open_frames": (
        "exchange_id UUID NOT NULL, segment VARCHAR NOT NULL, position BIGINT NOT NULL, "
        "kind UTINYINT NOT NULL"
    ),
    # Answers that can be fetched again, and who bears their usage: they must be billed once.
    "billed_responses": (
        "response_id VARCHAR NOT NULL, exchange_id UUID NOT NULL, billed_at TIMESTAMPTZ NOT NULL"
    ),
}
DERIVED_TABLES: dict[str, str] = {"hours": hours.columns()}
"""Made of others, so never carried over with them."""

_ARROW_TYPES: dict[str, pa.DataType] = {
    "UUID": pa.string(),
    "VARCHAR": pa.string(),
    "JSON": pa.string(),
    "VARCHAR[]": pa.list_(pa.string()),
    "MAP(VARCHAR, VARCHAR)": pa.map_(pa.string(), pa.string()),
    "TIMESTAMPTZ": pa.timestamp("us", tz="UTC"),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "SMALLINT": pa.int16(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "BLOB": pa.large_binary(),
    MONEY: pa.decimal128(18, 12),
}


def create_table(name: str) -> str:
    """The statement that creates a table unless it is there."""
    plain = POSTER_TABLES | DERIVED_TABLES
    if name in plain:
        return f"CREATE TABLE IF NOT EXISTS {name} ({plain[name]})"
    lines = ",\n    ".join(_definition(name, column) for column in columns(RECORDS[name]))
    return f"CREATE TABLE IF NOT EXISTS {name} (\n    {lines}\n)"


def _definition(table: str, column: Column) -> str:
    text = f'"{column.name}" {column.sql_type}'
    if column.required:
        text += " NOT NULL"
    if table in _ZSTD_TABLES and column.sql_type in _ZSTD_TYPES:
        text += " USING COMPRESSION zstd"
    return text


def table_names() -> tuple[str, ...]:
    return (*lasting_tables(), *DERIVED_TABLES)


def lasting_tables() -> tuple[str, ...]:
    """Those whose rows nothing else could give back."""
    return (*RECORDS, *POSTER_TABLES)


@cache
def arrow_schema(record: type) -> pa.Schema:
    """The Arrow schema in which rows of a record reach DuckDB; UUID and JSON travel as text."""
    return pa.schema([(column.name, _ARROW_TYPES[column.sql_type]) for column in columns(record)])


def arrow_table(record: type, rows: Sequence[Any]) -> pa.Table:
    """Rows as an Arrow table. Raises where a value does not fit its column's type."""
    schema = arrow_schema(record)
    arrays = [
        pa.array(_values(field, rows), type=field.type, from_pandas=False) for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _values(field: pa.Field, rows: Sequence[Any]) -> list[Any]:
    values = list(map(attrgetter(field.name), rows))
    if pa.types.is_map(field.type):
        return [None if value is None else list(value.items()) for value in values]
    return values


def markdown(record: type = Exchange) -> str:
    """The documented table of a record, for the README: a row per column, in groups."""
    lines = ["| group | column | type | meaning | OpenTelemetry |", "|---|---|---|---|---|"]
    group = ""
    for column in columns(record):
        shown = column.group if column.group != group else ""
        group = column.group
        otel = f"`{column.otel}`" if column.otel else ""
        meaning = column.doc.replace("|", "\\|")
        lines.append(f"| {shown} | `{column.name}` | {column.sql_type} | {meaning} | {otel} |")
    return "\n".join(lines) + "\n"
