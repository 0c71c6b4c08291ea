"""Meterline's own addresses: `/-/health`, `/-/ready`, `/-/metrics`.

Owns what the proxy tells of itself. Refuses to tell of single exchanges.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

VERSION = "0.1.0"
POSTED_METRICS = "metrics.prom"
"""What the poster writes into the data folder."""


@dataclass(slots=True)
class Tally:
    """What a worker counts. Labels are bounded: providers and outcomes, never users."""

    exchanges: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By provider ("" where none was found) and outcome."""
    losses: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    rules: int = 0
    """In force."""
    rules_error: str | None = None
    """Why the rules in the file are not those in force."""
    started_at: float = field(default_factory=time.time)


class _Exposition(Collector):
    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def collect(self) -> Iterable[Metric]:
        exchanges = CounterMetricFamily(
            "meterline_exchanges", "Exchanges that ended.", labels=["provider", "outcome"]
        )
        for key, count in self._tally.exchanges.items():
            exchanges.add_metric(list(key), count)
        losses = CounterMetricFamily(
            "meterline_losses", "What could not be recorded.", labels=["reason"]
        )
        for reason, count in self._tally.losses.items():
            losses.add_metric([reason], count)
        in_flight = GaugeMetricFamily(
            "meterline_exchanges_in_flight",
            "Exchanges under way.",
            value=float(self._tally.in_flight),
        )
        return [exchanges, losses, in_flight]


class OwnPages:
    """Answers to the own addresses of one worker."""

    def __init__(self, tally: Tally, more_metrics: Path | None = None) -> None:
        """`more_metrics` is a file of metrics that another process writes."""
        self._tally = tally
        self._more_metrics = more_metrics
        self._registry = CollectorRegistry()
        self._registry.register(_Exposition(tally))

    def answer(self, target: str) -> tuple[int, bytes, str]:
        """Status, body and content type."""
        path = target.partition("?")[0]
        if path == "/-/ready":
            return 200, b"ready\n", "text/plain; charset=utf-8"
        if path == "/-/health":
            return 200, self._health(), "application/json"
        if path == "/-/metrics":
            text = generate_latest(self._registry) + self._metrics_of_others()
            return 200, text, "text/plain; version=0.0.4; charset=utf-8"
        body = orjson.dumps({"error": {"message": f"meterline: nothing is at {path}"}})
        return 404, body, "application/json"

    def _metrics_of_others(self) -> bytes:
        """The poster's, as it wrote them last; nothing where it did not."""
        if self._more_metrics is None:
            return b""
        try:
            return self._more_metrics.read_bytes()
        except OSError:
            return b""

    def _health(self) -> bytes:
        tally = self._tally
        return orjson.dumps(
            {
                "status": "losing" if tally.losses else "ok",
                "version": VERSION,
                "uptime_seconds": round(time.time() - tally.started_at, 1),
                "in_flight": tally.in_flight,
                "exchanges": sum(tally.exchanges.values()),
                "losses": dict(tally.losses),
                "rules": {"in_force": tally.rules, "error": tally.rules_error},
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
