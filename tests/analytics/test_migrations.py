from pathlib import Path

import duckdb
import pytest

from analytics import migrations, schema, store, views
from analytics.migrations import StoreTooNew, migrate


def layout(con: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    return con.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE NOT internal ORDER BY ALL"
    ).fetchall()


def test_an_empty_store_gets_everything() -> None:
    con = duckdb.connect(":memory:")
    migrate(con)
    tables = {name for (name,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    assert tables == set(schema.table_names())
    for name in views.VIEWS:
        assert con.execute(f"SELECT * FROM {name}").fetchall() == []
    version = con.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    assert version == (str(len(migrations.STEPS)),)


def test_doing_it_again_changes_nothing() -> None:
    con = duckdb.connect(":memory:")
    migrate(con)
    before = layout(con), con.execute("SELECT * FROM meta ORDER BY key").fetchall()
    migrate(con)
    assert (layout(con), con.execute("SELECT * FROM meta ORDER BY key").fetchall()) == before


def test_views_of_an_older_version_are_made_anew() -> None:
    con = duckdb.connect(":memory:")
    migrate(con)
    con.execute("CREATE OR REPLACE VIEW sessions AS SELECT 1 AS one")
    con.execute("UPDATE meta SET value = '0' WHERE key = 'views_version'")
    migrate(con)
    assert "session_id" in [row[0] for row in con.execute("DESCRIBE sessions").fetchall()]


def test_a_newer_store_is_left_alone() -> None:
    con = duckdb.connect(":memory:")
    migrate(con)
    con.execute("UPDATE meta SET value = '999' WHERE key = 'schema_version'")
    before = layout(con)
    with pytest.raises(StoreTooNew, match="999"):
        migrate(con)
    assert layout(con) == before


def test_a_step_that_fails_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(con: duckdb.DuckDBPyConnection) -> None:
        con.execute("CREATE TABLE half (a INTEGER)")
        raise RuntimeError("no")

    con = duckdb.connect(":memory:")
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, failing))
    with pytest.raises(RuntimeError):
        migrate(con)
    assert con.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)


def test_days_in_views_are_utc_days_in_every_time_zone(tmp_path: Path) -> None:
    path = tmp_path / "data" / store.NAME
    with store.write(path) as con:
        con.execute(
            "INSERT INTO exchanges (exchange_id, started_at, cost_usd, outcome) VALUES "
            "(uuid(), '2026-01-01 23:30:00+00', 1, 'completed'), "
            "(uuid(), '2026-01-02 00:30:00+00', 2, 'provider_error')"
        )
        for zone in ("America/Los_Angeles", "Asia/Tokyo", "UTC"):
            con.execute(f"SET TimeZone = '{zone}'")
            found = con.execute(
                "SELECT CAST(day AS VARCHAR), cost_usd, errors FROM spend_by_day ORDER BY day"
            ).fetchall()
            assert found == [("2026-01-01", 1, 0), ("2026-01-02", 2, 1)]


def test_spans_have_ids_where_the_client_gave_none(tmp_path: Path) -> None:
    path = tmp_path / "data" / store.NAME
    with store.write(path) as con:
        con.execute(
            "INSERT INTO exchanges (exchange_id, started_at, duration_seconds, input_tokens) "
            "VALUES ('019b0000-0000-7000-8000-00000000000a', '2026-01-01 00:00:00+00', 1.5, 7)"
        )
        found = con.execute(
            'SELECT trace_id, span_id, CAST(end_time AS VARCHAR), "gen_ai.usage.input_tokens" '
            "FROM otel_spans"
        ).fetchone()
    assert found == (
        "019b00000000700080000000" + "0000000a",
        "800000000000000a",
        "2026-01-01 00:00:01.5+00",
        7,
    )


def test_a_store_from_before_savings_gets_their_column() -> None:
    con = duckdb.connect(":memory:")
    migrate(con)
    whole = layout(con)
    con.execute("ALTER TABLE exchanges DROP COLUMN saved_usd")
    con.execute("INSERT INTO exchanges (exchange_id, started_at) VALUES (uuid(), now())")
    con.execute("UPDATE meta SET value = '1' WHERE key = 'schema_version'")
    migrate(con)
    assert layout(con) == whole
    assert con.execute("SELECT saved_usd FROM exchanges").fetchall() == [(None,)]
