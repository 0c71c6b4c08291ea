from datetime import UTC, datetime
from decimal import Decimal

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]
import pytest

from analytics import schema
from proxy.exchange import Attempt, Content, Decision, Exchange, Loss, columns

EXCHANGE = "019b0000-0000-7000-8000-000000000001"
AT = datetime(2026, 1, 1, tzinfo=UTC)
FULL = Exchange(
    exchange_id=EXCHANGE,
    started_at=AT,
    status=200,
    stream=True,
    finish_reasons=["stop", "length"],
    tool_names=[],
    tags={"team": "blue", "": ""},
    cost_usd=Decimal("0.000000000001"),
    usage_raw='{"a":1}',
    input_tokens=2**40,
)


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    made = duckdb.connect(":memory:")
    made.execute("SET TimeZone = 'UTC'")
    for name in schema.table_names():
        made.execute(schema.create_table(name))
    return made


@pytest.mark.parametrize("table", schema.RECORDS)
def test_tables_have_the_columns_and_types_of_their_record(
    con: duckdb.DuckDBPyConnection, table: str
) -> None:
    found = con.execute(
        "SELECT column_name, data_type, is_nullable FROM duckdb_columns() WHERE table_name = ?",
        [table],
    ).fetchall()
    expected = [
        (c.name, c.sql_type.replace("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"), not c.required)
        for c in columns(schema.RECORDS[table])
    ]
    assert found == expected


def test_large_tables_have_no_key_and_no_index(con: duckdb.DuckDBPyConnection) -> None:
    assert con.execute("SELECT count(*) FROM duckdb_indexes()").fetchone() == (0,)
    kinds = con.execute("SELECT DISTINCT constraint_type FROM duckdb_constraints()").fetchall()
    assert kinds == [("NOT NULL",)]


def test_a_row_comes_back_as_it_went_in(con: duckdb.DuckDBPyConnection) -> None:
    con.register("incoming", schema.arrow_table(Exchange, [FULL]))
    con.execute("INSERT INTO exchanges BY NAME SELECT * FROM incoming")
    found = con.execute("SELECT * FROM exchanges").fetchone()
    assert found is not None
    for column, value in zip(columns(Exchange), found, strict=True):
        expected = getattr(FULL, column.name)
        assert (str(value) if column.sql_type == "UUID" else value) == expected, column.name


@pytest.mark.parametrize("record", [Exchange, Attempt, Decision, Content, Loss])
def test_no_rows_are_a_table_too(record: type) -> None:
    assert schema.arrow_table(record, []).num_rows == 0


@pytest.mark.parametrize(
    "bad", [{"status": 99_999}, {"cost_usd": Decimal("1e-13")}, {"path": "\ud800"}]
)
def test_a_value_that_does_not_fit_is_refused(bad: dict[str, object]) -> None:
    row = Exchange(exchange_id=EXCHANGE, started_at=AT, **bad)  # type: ignore[arg-type]
    with pytest.raises((pa.ArrowException, ValueError, OverflowError)):
        schema.arrow_table(Exchange, [row])


def test_the_documented_table_names_every_column_once() -> None:
    lines = schema.markdown().splitlines()[2:]
    assert [line.split("|")[2].strip(" `") for line in lines] == [
        column.name for column in columns(Exchange)
    ]
    groups = [group for line in lines if (group := line.split("|")[1].strip())]
    assert len(groups) == len(set(groups))
