"""Every line of Python that the README gives for looking at a store can be run as it stands."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from analytics import store
from tests.support.small_store import exchange, fill

README = Path(__file__).resolve().parents[2] / "README.md"
_TEXT = README.read_text(encoding="utf-8")
SECTION = _TEXT[_TEXT.index("### From Python") : _TEXT.index("### Why it costs that")]


def blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in which the defaults hold, with traffic of two weeks."""
    data_dir = tmp_path / "meterline-data"
    data_dir.mkdir()
    now = datetime.now(UTC)
    tokens = {"input_tokens": 100, "output_tokens": 10, "provider": "openai", "operation": "chat"}
    rows = [
        exchange(feature="chat", user_id="ana", request_model="gpt-4.1", started_at=at, **tokens)
        for at in (now - timedelta(days=days, minutes=1) for days in range(14))
    ]
    fill(data_dir / store.NAME, *rows)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("METERLINE_CONFIG", raising=False)


@pytest.mark.usefixtures("used")
def test_the_snippets_run_and_every_frame_has_rows() -> None:
    names: dict[str, Any] = {}
    frames = 0
    for statement in ast.parse("\n".join(blocks(SECTION))).body:
        if isinstance(statement, ast.Expr):
            found = eval(ast.unparse(statement), names)
            assert isinstance(found, pl.DataFrame)
            assert found.height, ast.unparse(statement)
            frames += 1
        else:
            exec(ast.unparse(statement), names)
    assert frames >= 7


@pytest.mark.usefixtures("used")
def test_a_duckdb_client_reads_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    (snippet,) = [block for block in blocks(_TEXT) if "duckdb.connect" in block]
    exec(snippet, {})
    assert "chat" in capsys.readouterr().out


@pytest.mark.usefixtures("used")
def test_the_duckdb_shell_finds_todays_spend() -> None:
    (statement,) = re.findall(r'^duckdb -readonly \S+ "(.*)"$', _TEXT, re.MULTILINE)
    with duckdb.connect(f"meterline-data/{store.NAME}", read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        assert len(con.execute(statement).fetchall()) <= 1
