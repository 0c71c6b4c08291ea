"""What is in the store, as Prometheus metrics: `metrics.prom` in the data folder.

Owns the running sums, their exposition and the file that the proxy's `/-/metrics` appends. Sums
begin with what the store holds and grow with each batch; an estimate that is taken back later
stays in them until the poster starts again, as counters only grow. Labels are bounded: provider,
model and feature, never users; beyond a number of combinations everything is `other`. Refuses to
fail: a file that cannot be written must not stop posting.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from time import monotonic, time

import duckdb
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from analytics.queries import MODEL
from analytics.status import Status
from proxy.exchange import Exchange, Loss
from proxy.own import POSTED_METRICS

NAME = POSTED_METRICS
MAX_SERIES = 200
"""Combinations of provider, model and feature that have series of their own."""
SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0)
"""Upper bounds of the histograms' buckets; one without bound follows."""
OTHER = "other"
WRITE_SECONDS = 5.0
_LONGEST_LABEL = 80
_LABELS = ["provider", "model", "feature"]
TOKENS = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "reasoning": "reasoning_tokens",
}

Key = tuple[str, str, str]


@dataclass(slots=True)
class Histogram:
    """Observations by bucket, not cumulated."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))
    sum: float = 0.0

    def observe(self, value: float) -> None:
        self.buckets[bisect_left(SECONDS, value)] += 1
        self.sum += value

    def add(self, buckets: Iterable[int], total: float) -> None:
        self.buckets = [a + b for a, b in zip(self.buckets, buckets, strict=True)]
        self.sum += total

    def cumulated(self) -> list[tuple[str, float]]:
        bounds, so_far, found = [*map(str, SECONDS), "+Inf"], 0, []
        for bound, count in zip(bounds, self.buckets, strict=True):
            so_far += count
            found.append((bound, float(so_far)))
        return found


@dataclass(slots=True)
class Series:
    """The sums of one combination."""

    outcomes: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    cost_usd: Decimal = Decimal(0)
    not_fully_priced: int = 0
    duration: Histogram = field(default_factory=Histogram)
    first_chunk: Histogram = field(default_factory=Histogram)


class Metrics:
    """The sums of one store."""

    def __init__(self) -> None:
        self._series: dict[Key, Series] = {}
        self._losses: Counter[str] = Counter()

    @classmethod
    def of_store(cls, con: duckdb.DuckDBPyConnection) -> Metrics:
        """The sums of all that the store holds; its largest combinations have series."""
        made = cls()
        for row in con.execute(_SUMS).fetchall():
            made._add_row(row)
        found = con.execute("SELECT reason, sum(count)::BIGINT FROM losses GROUP BY reason")
        made._losses.update(dict(found.fetchall()))
        return made

    def _add_row(self, row: tuple[object, ...]) -> None:
        values = iter(row)
        key = tuple(str(next(values) or "") for _ in _LABELS)
        outcome = str(next(values) or "")
        series = self._at(key)  # type: ignore[arg-type]
        series.outcomes[outcome] += _int(next(values))
        series.cost_usd += Decimal(str(next(values) or 0))
        series.not_fully_priced += _int(next(values))
        for name in TOKENS:
            series.tokens[name] += _int(next(values))
        for histogram in (series.duration, series.first_chunk):
            buckets = [_int(next(values)) for _ in range(len(SECONDS) + 1)]
            histogram.add(buckets, float(str(next(values) or 0)))

    def add(self, exchanges: Iterable[Exchange], losses: Iterable[Loss] = ()) -> None:
        """What a batch has posted."""
        for exchange in exchanges:
            model = exchange.response_model or exchange.request_model
            key = (exchange.provider or "", model or "", exchange.feature or "")
            _observe(self._at(key), exchange)
        for loss in losses:
            self._losses[loss.reason] += loss.count

    def _at(self, key: Key) -> Series:
        key = (key[0][:_LONGEST_LABEL], key[1][:_LONGEST_LABEL], key[2][:_LONGEST_LABEL])
        if key not in self._series and len(self._series) >= MAX_SERIES:
            key = (OTHER, OTHER, OTHER)
        return self._series.setdefault(key, Series())

    def exposition(self, status: Status | None = None) -> bytes:
        """The sums and what the poster is doing, in Prometheus's text format."""
        registry = CollectorRegistry()
        registry.register(_Families([*self._series_families(), *_states(status)]))
        return generate_latest(registry)

    def _series_families(self) -> list[Metric]:
        exchanges = _counter("posted_exchanges", "Exchanges in the store.", "outcome")
        tokens = _counter("tokens", "Tokens used; cached and reasoning are parts.", "type")
        cost = _counter("cost_usd", "Known cost in USD.")
        unpriced = _counter("not_fully_priced_exchanges", "Exchanges without a full price.")
        duration = _histogram("duration_seconds", "From the request to the end of the answer.")
        first = _histogram("time_to_first_chunk_seconds", "From the request to the first byte.")
        for key, series in self._series.items():
            for outcome, count in series.outcomes.items():
                exchanges.add_metric([*key, outcome], count)
            for name, count in series.tokens.items():
                tokens.add_metric([*key, name], count)
            cost.add_metric(key, float(series.cost_usd))
            unpriced.add_metric(key, series.not_fully_priced)
            duration.add_metric(key, series.duration.cumulated(), series.duration.sum)
            first.add_metric(key, series.first_chunk.cumulated(), series.first_chunk.sum)
        losses = CounterMetricFamily(
            "meterline_posted_losses", "What was lost, as the store has it.", labels=["reason"]
        )
        for reason, count in self._losses.items():
            losses.add_metric([reason], count)
        return [exchanges, tokens, cost, unpriced, duration, first, losses]


def _observe(series: Series, exchange: Exchange) -> None:
    series.outcomes[exchange.outcome or ""] += 1
    for name, column in TOKENS.items():
        series.tokens[name] += getattr(exchange, column) or 0
    series.cost_usd += exchange.cost_usd or 0
    series.not_fully_priced += exchange.cost_status in ("unpriced", "partial")
    if exchange.duration_seconds is not None:
        series.duration.observe(exchange.duration_seconds)
    if exchange.time_to_first_chunk_seconds is not None:
        series.first_chunk.observe(exchange.time_to_first_chunk_seconds)


class Exposition:
    """The file in a data folder, kept up to date by the poster."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / NAME
        self._metrics: Metrics | None = None
        self._shown: Status | None = None
        self._is_stale = False
        self._written = float("-inf")

    def begin(self, con: duckdb.DuckDBPyConnection) -> None:
        """Take the sums from a store that is open."""
        self._metrics = Metrics.of_store(con)
        self._is_stale = True

    def add(self, exchanges: Iterable[Exchange], losses: Iterable[Loss]) -> None:
        """What a batch has posted."""
        if self._metrics is not None:
            self._metrics.add(exchanges, losses)
            self._is_stale = True

    def write(self, status: Status, *, now: bool = False) -> None:
        """Replace the file where it is out of date, at most every WRITE_SECONDS unless `now`."""
        if self._metrics is None or not (self._is_stale or status != self._shown):
            return
        if not now and monotonic() - self._written < WRITE_SECONDS:
            return
        self._shown, self._is_stale, self._written = status, False, monotonic()
        new = self._path.with_name(f"{NAME}.new")
        with suppress(OSError):
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(fd, "wb") as file:
                file.write(self._metrics.exposition(status))
            os.rename(new, self._path)


def _states(status: Status | None) -> list[Metric]:
    values = [("written_timestamp_seconds", "When these were written.", time())]
    if status is not None:
        posted, oldest = status.last_posted_at, status.oldest_unposted_at
        if status.backlog_bytes is not None:
            text = "Written to the journal and not posted."
            values.append(("backlog_bytes", text, float(status.backlog_bytes)))
        if posted is not None:
            text = "When exchanges were posted last."
            values.append(("last_posted_timestamp_seconds", text, posted.timestamp()))
        if oldest is not None:
            text = "When the first that is not posted was written."
            values.append(("oldest_unposted_timestamp_seconds", text, oldest.timestamp()))
        waiting = float(status.waiting_for is not None)
        values.append(("poster_waiting", "1 while something keeps the poster.", waiting))
    return [GaugeMetricFamily(f"meterline_{n}", text, value=value) for n, text, value in values]


class _Families(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def _counter(name: str, text: str, *more: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"meterline_{name}", text, labels=[*_LABELS, *more])


def _histogram(name: str, text: str) -> HistogramMetricFamily:
    return HistogramMetricFamily(f"meterline_{name}", text, labels=_LABELS)


def _int(value: object) -> int:
    return int(value) if isinstance(value, int) else 0


def _buckets(column: str) -> str:
    bounds = (float("-inf"), *SECONDS)
    counts = [
        f"count(*) FILTER ({column} <= {upper} AND {column} > {lower!r}::DOUBLE)"
        if lower != float("-inf")
        else f"count(*) FILTER ({column} <= {upper})"
        for lower, upper in zip(bounds, SECONDS, strict=False)
    ]
    return ", ".join([*counts, f"count(*) FILTER ({column} > {SECONDS[-1]})", f"sum({column})"])


_SUMS = f"""
WITH named AS (
    SELECT *, coalesce(provider, '') AS p, coalesce({MODEL}, '') AS m, coalesce(feature, '') AS f
    FROM exchanges
),
listed AS (
    SELECT p, m, f, true AS is_listed FROM named GROUP BY p, m, f
    ORDER BY count(*) DESC, p, m, f LIMIT {MAX_SERIES - 1}
)
SELECT if(is_listed, p, '{OTHER}'), if(is_listed, m, '{OTHER}'), if(is_listed, f, '{OTHER}'),
    outcome, count(*), sum(cost_usd),
    count(*) FILTER (cost_status IN ('unpriced', 'partial')),
    {", ".join(f"sum({column})::BIGINT" for column in TOKENS.values())},
    {_buckets("duration_seconds")}, {_buckets("time_to_first_chunk_seconds")}
FROM named LEFT JOIN listed USING (p, m, f) GROUP BY 1, 2, 3, outcome ORDER BY 1, 2, 3, outcome"""
