"""The sample month without bodies: thirty days with all their events, at a part of the traffic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from analytics import store
from analytics.prices import PriceBook
from analytics.queries import Selection
from analytics.simulation.replay import Replay, Verdict, verdicts
from analytics.windows import Window
from proxy.config import parse
from sample_data import generator
from sample_data.generator import bodies
from sample_data.generator.ledger import NAME, Ledger, read
from sample_data.generator.plan import plan

END = datetime(2026, 11, 24, tzinfo=UTC)
SCALE = 0.2


@dataclass(frozen=True, slots=True)
class Month:
    path: Path
    ledger: Ledger
    book: PriceBook
    sizes: dict[str, int]
    """Bytes of each request."""

    @contextmanager
    def opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with store.read(self.path / store.NAME) as con:
            yield con

    def verdicts(self, *rules: dict[str, Any], since: datetime | None = None) -> list[Verdict]:
        """What these rules would have done, exchange by exchange."""
        named = [{"name": f"r{number}", **rule} for number, rule in enumerate(rules)]
        replay = Replay(parse({"rules": named}, "test").rules, self.book)
        with self.opened() as con:
            chosen = Selection(window=Window(since=since))
            return [each for (each,) in verdicts(con, [replay], chosen)]


@pytest.fixture(scope="session")
def month(tmp_path_factory: pytest.TempPathFactory) -> Month:
    folder = tmp_path_factory.mktemp("month")
    window = generator.Window(end=END, scale=SCALE)
    generator.fill(
        folder,
        days=window.days,
        end=window.end,
        scale=window.scale,
        contents=False,
        ledger=folder / NAME,
    )
    sizes = {each.exchange_id: len(bodies.made(each).request) for each in plan(window)}
    return Month(folder, read(folder / NAME), generator.price_book(window), sizes)
