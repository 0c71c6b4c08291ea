"""A proxy process that the relay's tests share, with a fake provider behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Config, Meterline, start
from tests.support.raw import FakeProvider

SHORT_SILENCE_SECONDS = 1.0


def providers(url: str) -> dict[str, dict[str, Any]]:
    """Every provider that a test asks for, at one address."""
    names = ("openai", "anthropic", "gemini", "azure", "bedrock")
    return {
        **{f"providers.{name}": {"base_url": url} for name in names},
        "providers.behind": {"base_url": f"{url}/some/prefix"},
    }


@pytest.fixture(scope="session")
def _shared_provider() -> Iterator[FakeProvider]:
    fake = FakeProvider()
    yield fake
    fake.close()


@pytest.fixture
def provider(_shared_provider: FakeProvider) -> Iterator[FakeProvider]:
    """The fake provider, with an empty ledger."""
    _shared_provider.reset()
    yield _shared_provider
    _shared_provider.reset()


@pytest.fixture(scope="session")
def proxy(
    _shared_provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Meterline]:
    """A proxy with default settings but for a short patience with silent providers."""
    tables = {
        **providers(_shared_provider.url),
        "providers.refusing": {"base_url": "http://127.0.0.1:1"},
        "providers.nameless": {"base_url": "http://no-such-name.invalid"},
        "upstream": {"read_timeout_seconds": SHORT_SILENCE_SECONDS},
    }
    running = start(tmp_path_factory.mktemp("proxy"), tables)
    yield running
    assert running.stop() == 0, running.log.read_text()
    assert "Traceback" not in running.log.read_text()


@pytest.fixture
def start_proxy(provider: FakeProvider, tmp_path: Path) -> Iterator[Callable[..., Meterline]]:
    """Starts a proxy of the test's own before the shared fake provider, and ends it."""
    started: list[Meterline] = []

    def begin(tables: Config | None = None, **options: Any) -> Meterline:
        folder = tmp_path / f"proxy{len(started)}"
        folder.mkdir()
        running = start(folder, {**providers(provider.url), **(tables or {})}, **options)
        started.append(running)
        return running

    yield begin
    for running in started:
        running.stop()
