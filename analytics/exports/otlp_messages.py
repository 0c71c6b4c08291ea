"""Exchanges as OTLP: spans and histograms in OpenTelemetry's own protobuf messages.

Owns how a row becomes a span and how measurements are summed. Names are genai_conventions'.
Refuses to send. Histograms are cumulative since `started`, the moment the export began to count.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    HistogramDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from analytics.exports import genai_conventions as names
from proxy.own import VERSION

_TRACE = re.compile(r"[0-9a-f]{32}")
_SPAN = re.compile(r"[0-9a-f]{16}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000_000
_MICROSECOND = timedelta(microseconds=1)
_OVERFLOW = "otel.metric.overflow"
MAX_SERIES = 2_000
"""As many combinations of attributes as an instrument has by the SDK's default."""


def traces(rows: Sequence[Mapping[str, Any]], said: Mapping[str, Any]) -> bytes:
    """One export request with a span a row; `said` has further attributes by exchange id."""
    request = ExportTraceServiceRequest()
    by_node: dict[str | None, list[Span]] = {}
    for row in rows:
        more = said.get(row["exchange_id"], {})
        by_node.setdefault(row["node"], []).append(span(row, more))
    for node, spans in by_node.items():
        resource = request.resource_spans.add(resource=_resource(node))
        scope = resource.scope_spans.add(spans=spans)
        scope.scope.name, scope.scope.version = names.SCOPE, VERSION
    body: bytes = request.SerializeToString()
    return body


def span(row: Mapping[str, Any], more: Mapping[str, names.Attribute]) -> Span:
    """The span of an exchange. Without a trace of its own it is the root of a new one."""
    digits = row["exchange_id"].replace("-", "")
    trace, parent = row["trace_id"] or "", row["parent_span_id"] or ""
    begin = nanoseconds(row["started_at"])
    made = Span(
        trace_id=bytes.fromhex(trace if _TRACE.fullmatch(trace) else digits),
        span_id=bytes.fromhex(digits[16:]),
        name=names.span_name(row),
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=begin,
        end_time_unix_nano=begin + int((row["duration_seconds"] or 0) * _SECOND),
        attributes=_key_values({**names.span_attributes(row), **more}),
    )
    if _TRACE.fullmatch(trace) and _SPAN.fullmatch(parent):
        made.parent_span_id = bytes.fromhex(parent)
    if names.is_error(row):
        made.status.code = Status.STATUS_CODE_ERROR
        made.status.message = row["error_message"] or row["outcome"] or ""
    return made


def nanoseconds(moment: datetime) -> int:
    """Since the epoch."""
    return (moment - _EPOCH) // _MICROSECOND * 1000


@dataclass(slots=True)
class _Point:
    """One series of a histogram."""

    buckets: list[int]
    count: int = 0
    sum: float = 0.0
    low: float = float("inf")
    high: float = float("-inf")

    def observe(self, bounds: Sequence[float], value: float) -> None:
        self.buckets[bisect_left(bounds, value)] += 1
        self.count += 1
        self.sum += value
        self.low, self.high = min(self.low, value), max(self.high, value)


_Key = tuple[tuple[str, Any], ...]


@dataclass(slots=True, kw_only=True)
class Instrument:
    """A histogram: its name, unit and bounds, and its series."""

    name: str
    unit: str
    bounds: Sequence[float]
    series: dict[_Key, _Point] = field(default_factory=dict)

    def observe(self, attributes: Mapping[str, Any], value: float) -> None:
        key: _Key = tuple(sorted(attributes.items()))
        if key not in self.series and len(self.series) >= MAX_SERIES:
            key = ((_OVERFLOW, True),)
        if key not in self.series:
            self.series[key] = _Point([0] * (len(self.bounds) + 1))
        self.series[key].observe(self.bounds, value)


class Measurements:
    """The conventions' two client histograms."""

    def __init__(self, started: datetime) -> None:
        self._started = nanoseconds(started)
        self._tokens = Instrument(name=names.TOKEN_USAGE, unit="{token}", bounds=names.TOKEN_BOUNDS)
        self._duration = Instrument(
            name=names.OPERATION_DURATION, unit="s", bounds=names.DURATION_BOUNDS
        )

    def add(self, row: Mapping[str, Any]) -> None:
        """Measure an exchange; one that is no known operation is not measured."""
        if row["operation"] is None:
            return
        common = names.metric_attributes(row)
        for kind, column in names.TOKEN_TYPES.items():
            if row[column] is not None:
                self._tokens.observe({**common, names.TOKEN_TYPE: kind}, float(row[column]))
        if row["duration_seconds"] is not None:
            error = row["error_type"] or row["outcome"] or names.OTHER_ERROR
            attributes = {**common, "error.type": error} if names.is_error(row) else common
            self._duration.observe(attributes, row["duration_seconds"])

    def request(self, now: datetime) -> bytes | None:
        """One export request with all series as they are; None where there are none."""
        request = ExportMetricsServiceRequest()
        resource = request.resource_metrics.add(resource=_resource(None))
        scope = resource.scope_metrics.add()
        scope.scope.name, scope.scope.version = names.SCOPE, VERSION
        for instrument in (self._tokens, self._duration):
            if instrument.series:
                metric = scope.metrics.add(name=instrument.name, unit=instrument.unit)
                histogram = metric.histogram
                histogram.aggregation_temporality = (
                    AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
                )
                histogram.data_points.extend(self._points(instrument, nanoseconds(now)))
        return request.SerializeToString() if scope.metrics else None

    def _points(self, instrument: Instrument, now: int) -> list[HistogramDataPoint]:
        return [
            HistogramDataPoint(
                attributes=_key_values(dict(key)),
                start_time_unix_nano=self._started,
                time_unix_nano=now,
                count=point.count,
                sum=point.sum,
                min=point.low,
                max=point.high,
                bucket_counts=point.buckets,
                explicit_bounds=instrument.bounds,
            )
            for key, point in instrument.series.items()
        ]


def _resource(node: str | None) -> Resource:
    attributes: dict[str, Any] = {"service.name": names.SERVICE, "service.version": VERSION}
    if node is not None:
        attributes["service.instance.id"] = node
    return Resource(attributes=_key_values(attributes))


def _key_values(attributes: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=name, value=_any(value)) for name, value in attributes.items()]


def _any(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[_any(item) for item in value]))
    return AnyValue(string_value=str(value))
