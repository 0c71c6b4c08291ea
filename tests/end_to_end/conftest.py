"""Meterline in front of one demo provider, and another demo provider to compare with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.services import Place, Provider, demo_provider, place


@dataclass(frozen=True, slots=True)
class Setting:
    """Two equal providers: `alone`, and the one `behind` Meterline at `at`."""

    alone: Provider
    behind: Provider
    at: Place


@pytest.fixture(scope="package")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    folder: Path = tmp_path_factory.mktemp("meterline")
    with ExitStack() as stack:
        alone = stack.enter_context(demo_provider(folder / "alone.log"))
        behind = stack.enter_context(demo_provider(folder / "behind.log"))
        at = place(folder, behind.url)
        stack.enter_context(at.served("proxy", "post"))
        yield Setting(alone, behind, at)
