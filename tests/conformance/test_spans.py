"""Spans of requests at a real OTLP/HTTP receiver, from the ordinary path and the fast path."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest
from prometheus_client import CollectorRegistry

from services.inference.tracing.metrics import SpanMetrics
from services.inference.tracing.otlp import open_tracing
from services.inference.tracing.request_trace import Tracing
from services.inference.tracing.span_queue import SpanQueue
from tests.fakes.inference_server import InferenceServer
from tests.fakes.otlp_receiver import OtlpReceiver, ReceivedSpan
from tests.fakes.socket_server import SocketServer, request
from tests.fakes.toy_model import ROW, ToyStore
from tests.waiting import eventually

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


class Collector:
    """A receiver, and what traces requests for it."""

    def __init__(self, ratio: float) -> None:
        self.receiver = OtlpReceiver()
        self.registry = CollectorRegistry()
        tracing, queue = open_tracing(
            self.receiver.endpoint, SpanMetrics(self.registry), ratio=ratio, instance="a"
        )
        assert tracing is not None
        assert queue is not None
        self.tracing: Tracing = tracing
        self.queue: SpanQueue = queue
        queue.start()

    def spans(self, count: int) -> list[ReceivedSpan]:
        eventually(lambda: len(self.receiver.spans) >= count, f"{count} spans")
        return self.receiver.spans

    def counted(self, result: str) -> float:
        return self.registry.get_sample_value("homeostat_inference_spans_total", {"result": result}) or 0

    def stop(self) -> None:
        self.queue.shutdown()
        self.receiver.stop()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector(ratio=0.0)
    yield collector
    collector.stop()


def test_spans_of_a_traced_prediction(toys: ToyStore, collector: Collector) -> None:
    release = toys.put_and_release(4.0)
    server = InferenceServer(toys, tracing=collector.tracing)
    body = {"rows": [ROW, ROW]}
    assert server.ask("POST", "/predict", json=body).status_code == 200  # not traced
    answer = server.ask("POST", "/predict", json=body, headers={"traceparent": TRACEPARENT})
    assert answer.status_code == 200
    spans = {span.name: span for span in collector.spans(3)}
    assert len(collector.receiver.spans) == 3
    assert set(collector.receiver.paths) == {"/v1/traces"}
    whole, score, append = spans["POST /predict"], spans["score"], spans["append to prediction log"]
    assert {span.trace_id for span in spans.values()} == {TRACE}
    assert whole.parent_id == PARENT
    assert score.parent_id == append.parent_id == whole.span_id
    assert whole.start <= score.start <= score.end <= append.start <= append.end <= whole.end
    model = {
        "homeostat.model.name": "toy",
        "homeostat.model.version": release.version,
        "homeostat.model.generation": 1,
        "homeostat.prediction.count": 2,
    }
    assert whole.attributes == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
        **model,
    }
    assert score.attributes == append.attributes == model
    assert (whole.kind, score.kind) == (2, 1)  # server, internal
    assert whole.resource["service.name"] == "homeostat-inference"
    # The log has the client's context, as without spans.
    assert [record["traceparent"] for record in server.spool.predictions] == ["", TRACEPARENT]


def test_spans_of_a_call_on_a_thread(toys: ToyStore, collector: Collector) -> None:
    toys.put_and_release(4.0)
    server = InferenceServer(toys, tracing=collector.tracing, inline_seconds=0.0)
    server.ask("POST", "/predict", json={"rows": [ROW]}, headers={"traceparent": TRACEPARENT})
    spans = {span.name: span for span in collector.spans(3)}
    assert spans["POST /predict"].start < spans["score"].start <= spans["score"].end
    assert spans["score"].end <= spans["append to prediction log"].start


def test_refused_and_failed_requests_have_a_status(toys: ToyStore, collector: Collector) -> None:
    server = InferenceServer(toys, tracing=collector.tracing)
    server.ask("POST", "/predict", content=b"no json", headers={"traceparent": TRACEPARENT})
    server.ask("POST", "/predict", json={"rows": [ROW]}, headers={"traceparent": TRACEPARENT})
    refused, failed = collector.spans(2)
    assert refused.attributes["http.response.status_code"] == 400
    assert refused.status == 0
    assert "error.type" not in refused.attributes
    assert failed.attributes["http.response.status_code"] == 503
    assert failed.attributes["error.type"] == "503"
    assert failed.status == 2


def test_requests_of_one_iteration_have_spans_of_their_own(toys: ToyStore, collector: Collector) -> None:
    toys.put_and_release(4.0)
    server = InferenceServer(toys, tracing=collector.tracing)
    traces = [f"{number:032x}" for number in range(1, 6)]
    server.ask_together(
        *[
            lambda client, trace=trace: client.post(
                "/predict", json={"rows": [ROW]}, headers={"traceparent": f"00-{trace}-{PARENT}-01"}
            )
            for trace in traces
        ]
    )
    spans = collector.spans(15)
    for trace in traces:
        assert {span.name for span in spans if span.trace_id == trace} == {
            "POST /predict",
            "score",
            "append to prediction log",
        }


def test_broken_receiver_changes_no_answer(toys: ToyStore, collector: Collector) -> None:
    toys.put_and_release(4.0)
    collector.receiver.refuse = 400
    server = InferenceServer(toys, tracing=collector.tracing)
    for _ in range(3):
        answer = server.ask("POST", "/predict", json={"rows": [ROW]}, headers={"traceparent": TRACEPARENT})
        assert answer.json()["predictions"][0]["score"] == 4.0
    eventually(lambda: collector.counted("failed") == 9, "nine failed spans")
    assert collector.receiver.spans == []


def test_fast_path_hands_traced_requests_over(toys: ToyStore) -> None:
    toys.put_and_release(4.0)
    everything = Collector(ratio=1.0)
    try:
        server = SocketServer(toys, fast=True, tracing=everything.tracing)
        body = orjson.dumps({"rows": [ROW]})
        plain = request("/predict", body)
        traced = request("/predict", body, [("traceparent", TRACEPARENT)])
        not_sampled = request("/predict", body, [("traceparent", f"00-{TRACE}-{PARENT}-00")])
        try:
            with server.connect() as client:
                for one in (plain, plain, traced, plain, not_sampled):
                    client.sendall(one)
                    assert b"200 OK" in client.recv(1 << 16)
        finally:
            server.stop()
        spans = [span for span in everything.spans(12) if span.name == "POST /predict"]
        assert len(spans) == 4
        assert [span.trace_id for span in spans].count(TRACE) == 1
        assert len({span.trace_id for span in spans}) == 4
    finally:
        everything.stop()


def test_fast_path_keeps_what_is_not_traced(toys: ToyStore, collector: Collector) -> None:
    toys.put_and_release(4.0)
    server = SocketServer(toys, fast=True, tracing=collector.tracing)
    try:
        plain = request("/predict", orjson.dumps({"rows": [ROW]}))
        with server.connect() as client:
            for _ in range(5):
                client.sendall(plain)
                assert b"200 OK" in client.recv(1 << 16)
        assert server.ordinary_requests == ["/predict"]  # the first, whose headers were not known
    finally:
        server.stop()


def test_without_an_endpoint_nothing_is_traced() -> None:
    assert open_tracing("", SpanMetrics(CollectorRegistry()), ratio=1.0, instance="a") == (None, None)
