from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from analytics.exports import ExportRefused, otlp
from analytics.exports.otlp import Exporter, NotDelivered, Receiver
from analytics.queries import Selection
from proxy.config import Settings
from tests.analytics.exports.conftest import NOON, Put, Run

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


class Collector:
    """A receiver on loopback that decodes what it gets as OpenTelemetry's own messages."""

    def __init__(self) -> None:
        self.traces: list[ExportTraceServiceRequest] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.headers: list[dict[str, str]] = []
        self.refusals: list[tuple[int, dict[str, str]]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, more = collector.take(self.path, dict(self.headers), body)
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str]]:
        self.headers.append(headers)
        if self.refusals:
            return self.refusals.pop(0)
        assert headers["Content-Type"] == "application/x-protobuf"
        plain = gzip.decompress(body)
        if path == "/v1/traces":
            self.traces.append(ExportTraceServiceRequest.FromString(plain))
        elif path == "/v1/metrics":
            self.metrics.append(ExportMetricsServiceRequest.FromString(plain))
        else:
            return 404, {}
        return 200, {}

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    return getattr(value, kind)


def attributes(item: Any) -> dict[str, Any]:
    return {pair.key: plain(pair.value) for pair in item.attributes}


def exporter(settings: Settings, collector: Collector, **more: Any) -> Exporter:
    receiver = Receiver(endpoint=collector.endpoint, wait=lambda _: None)
    return Exporter(settings.store_path, Selection(), receiver, **more)


def test_each_exchange_is_a_span_under_its_parent(
    settings: Settings, put: Put, collector: Collector
) -> None:
    (exchange_id,) = put(
        {
            "trace_id": TRACE,
            "parent_span_id": PARENT,
            "node": "here",
            "stream": True,
            "upstream": "api.openai.com:8443",
            "finish_reasons": ["stop"],
            "cache_read_tokens": 7,
            "tags": {"team": "blue"},
            "feature": "chat",
        }
    )
    exporter(settings, collector).send_window()
    (span,) = collector.spans
    assert span.trace_id.hex() == TRACE
    assert span.parent_span_id.hex() == PARENT
    assert span.span_id.hex() == exchange_id.replace("-", "")[16:]
    assert span.name == "chat gpt-4o"
    assert span.kind == Span.SPAN_KIND_CLIENT
    assert span.start_time_unix_nano == int(NOON.timestamp()) * 10**9
    assert span.end_time_unix_nano - span.start_time_unix_nano == 2 * 10**9
    assert span.status.code == 0
    found = attributes(span)
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.provider.name"] == "openai"
    assert found["gen_ai.request.model"] == "gpt-4o"
    assert found["gen_ai.usage.input_tokens"] == 1000
    assert found["gen_ai.usage.cache_read.input_tokens"] == 7
    assert found["gen_ai.response.finish_reasons"] == ["stop"]
    assert found["gen_ai.request.stream"] is True
    assert (found["server.address"], found["server.port"]) == ("api.openai.com", 8443)
    assert found["meterline.cost.usd"] == pytest.approx(0.003)
    assert found["meterline.tag.team"] == "blue"
    resource = attributes(collector.traces[0].resource_spans[0].resource)
    assert resource["service.name"] == "meterline"
    assert resource["service.instance.id"] == "here"


def test_without_a_trace_the_span_is_a_root_and_a_malformed_one_is_not_sent(
    settings: Settings, put: Put, collector: Collector
) -> None:
    ids = put({}, {"trace_id": "nonsense", "parent_span_id": "x"})
    exporter(settings, collector).send_window()
    assert {span.trace_id.hex() for span in collector.spans} == {i.replace("-", "") for i in ids}
    assert all(span.parent_span_id == b"" for span in collector.spans)


def test_failures_are_errors_with_their_type(
    settings: Settings, put: Put, collector: Collector
) -> None:
    put({"outcome": "timed_out", "error_type": None, "error_message": "no answer in 60 s"})
    exporter(settings, collector).send_window()
    (span,) = collector.spans
    assert span.status.code == 2
    assert span.status.message == "no answer in 60 s"
    assert attributes(span)["error.type"] == "timed_out"


@pytest.mark.parametrize("name", ["bedrock", "gemini", "openai"])
def test_providers_have_their_well_known_names(
    name: str, settings: Settings, put: Put, collector: Collector
) -> None:
    put({"provider": name})
    exporter(settings, collector).send_window()
    known = {"bedrock": "aws.bedrock", "gemini": "gcp.gemini", "openai": "openai"}
    assert attributes(collector.spans[0])["gen_ai.provider.name"] == known[name]


def test_histograms_sum_what_the_rows_say(
    settings: Settings, put: Put, collector: Collector
) -> None:
    put({"input_tokens": 1}, {"input_tokens": 5000, "duration_seconds": 90.0}, {"operation": None})
    exporter(settings, collector).send_window()
    (scope,) = collector.metrics[-1].resource_metrics[0].scope_metrics
    metrics = {metric.name: metric for metric in scope.metrics}
    assert set(metrics) == {"gen_ai.client.token.usage", "gen_ai.client.operation.duration"}
    tokens = metrics["gen_ai.client.token.usage"]
    assert tokens.unit == "{token}"
    assert tokens.histogram.aggregation_temporality == 2
    points = {attributes(p)["gen_ai.token.type"]: p for p in tokens.histogram.data_points}
    assert (points["input"].count, points["input"].sum) == (2, 5001.0)
    assert points["input"].bucket_counts[0] == 1
    assert len(points["input"].bucket_counts) == len(points["input"].explicit_bounds) + 1
    (duration,) = metrics["gen_ai.client.operation.duration"].histogram.data_points
    assert (duration.count, duration.sum, duration.bucket_counts[-1]) == (2, 92.0, 1)
    assert duration.start_time_unix_nano < duration.time_unix_nano


def test_contents_are_sent_only_when_asked_for(
    settings: Settings, put: Put, collector: Collector
) -> None:
    put({"asked": "A question?", "answered": "An answer."}, {})
    exporter(settings, collector).send_window()
    assert b"A question?" not in b"".join(r.SerializeToString() for r in collector.traces)
    collector.traces.clear()
    exporter(settings, collector, contents=True).send_window()
    assert len(collector.spans) == 2
    found = next(a for s in collector.spans if "gen_ai.input.messages" in (a := attributes(s)))
    assert orjson.loads(found["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "A question?"}]}
    ]
    (answer,) = orjson.loads(found["gen_ai.output.messages"])
    assert answer["parts"] == [{"type": "text", "content": "An answer."}]


def test_following_sends_what_is_posted_later_once(
    settings: Settings, put: Put, collector: Collector
) -> None:
    put({}, {})
    sending = exporter(settings, collector)
    sending.send_window(then_follow=True)
    assert sending.send_new() == 0
    put({"started_at": NOON + timedelta(hours=1)})
    assert sending.send_new() == 1
    assert sending.send_new() == 0
    assert len({span.span_id for span in collector.spans}) == len(collector.spans) == 3


def test_a_receiver_that_is_busy_is_asked_again_as_it_says(collector: Collector) -> None:
    collector.refusals = [
        (503, {"Retry-After": "7"}),
        (429, {}),
        (502, {"Retry-After": "1000000000"}),
    ]
    waits: list[float] = []
    Receiver(endpoint=collector.endpoint, wait=waits.append).send("traces", b"")
    assert waits == [7.0, 1.0, otlp.LONGEST_WAIT_SECONDS]
    assert len(collector.traces) == 1


def test_what_cannot_be_delivered_is_said_and_no_redirect_is_followed(
    collector: Collector,
) -> None:
    receiver = Receiver(endpoint=collector.endpoint, wait=lambda _: None)
    collector.refusals = [(400, {})]
    with pytest.raises(NotDelivered, match="400"):
        receiver.send("traces", b"")
    collector.refusals = [(307, {"Location": "http://127.0.0.1:9/elsewhere"})]
    with pytest.raises(NotDelivered, match="307"):
        receiver.send("traces", b"")
    collector.refusals = [(503, {})] * otlp.ATTEMPTS
    with pytest.raises(NotDelivered, match="503"):
        receiver.send("traces", b"")


def test_environment_names_receiver_and_headers_and_neither_is_shown(collector: Collector) -> None:
    environment = {otlp.ENDPOINT: collector.endpoint, otlp.HEADERS: "x-key=a%20b,other=c"}
    receiver = Receiver.of(None, environment)
    receiver.send("traces", b"")
    sent = {name.lower(): value for name, value in collector.headers[-1].items()}
    assert (sent["x-key"], sent["other"]) == ("a b", "c")
    assert "a b" not in repr(receiver)
    for wrong in (None, "127.0.0.1:4318", "ftp://x"):
        with pytest.raises(ExportRefused):
            Receiver.of(wrong, {})


def test_command_sends_the_last_hour_and_says_how_many(
    run: Run, put: Put, collector: Collector
) -> None:
    put({})
    code, said = run("export", "otlp", "--endpoint", collector.endpoint, "--last", "all")
    assert code == 0
    assert f"1 exchange sent to {collector.endpoint}" in said
    assert len(collector.spans) == 1
