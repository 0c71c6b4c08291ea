"""Data folders as a dashboard finds them: with a sample, empty, held by another process."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from sample_data.generator import Window, fill, write_settings

APP = Path(__file__).parents[2] / "dashboard" / "app.py"
PAGES = (
    *("overview", "spend", "savings", "models", "people", "sessions", "requests"),
    *("exchange", "reliability", "health", "sql"),
)
Shown = Callable[..., AppTest]


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with ten days of a small sample up to now; tests only read it."""
    return sample_in(tmp_path_factory.mktemp("sample"))


def sample_in(folder: Path, days: int = 10, scale: float = 0.25) -> Path:
    end = datetime.now(UTC)
    write_settings(folder, Window(end=end, days=days))
    fill(folder, days=days, end=end, scale=scale)
    return folder


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """A page of the dashboard on a data folder, with filters."""

    def show(folder: Path, page: str = "overview", **state: object) -> AppTest:
        settings = folder / "meterline.toml"
        if not settings.exists():
            settings.write_text('data_dir = "."\n', encoding="utf-8")
        monkeypatch.setenv("METERLINE_CONFIG", str(settings))
        test = AppTest.from_file(str(APP), default_timeout=60)
        for name, value in state.items():
            test.session_state[name] = value
        test.run()
        return test if page == "overview" else test.switch_page(f"views/{page}.py").run()

    return show


def words(test: AppTest) -> str:
    """All that a page says outside of charts and tables."""
    kinds = (test.markdown, test.caption, test.warning, test.error, test.info, test.code, test.text)
    said = [str(each.value) for kind in kinds for each in kind]
    return "\n".join([*said, *(f"{each.label}: {each.value}" for each in test.metric)])
