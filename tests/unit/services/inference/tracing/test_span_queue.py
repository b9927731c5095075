from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from services.inference.tracing.span_queue import SpanQueue
from tests.waiting import bound, eventually


class Counts:
    def __init__(self) -> None:
        self.spans: Counter[str] = Counter()

    def count(self, result: str, spans: int) -> None:
        self.spans[result] += spans


class FakeExporter(SpanExporter):  # type: ignore[misc]
    """Remembers what it got; waits for `go`, and fails as it is told."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.go = threading.Event()
        self.go.set()
        self.entered = threading.Event()
        self.problem: Exception | SpanExportResult = SpanExportResult.SUCCESS
        self.closed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.entered.set()
        assert self.go.wait(bound(60))
        if isinstance(self.problem, Exception):
            raise self.problem
        self.names += [span.name for span in spans]
        return self.problem

    def shutdown(self) -> None:
        self.closed = True


def span(name: str) -> ReadableSpan:
    return ReadableSpan(name)


def test_spans_are_exported_in_order_and_the_rest_at_the_end() -> None:
    exporter, counts = FakeExporter(), Counts()
    queue = SpanQueue(exporter, counts)
    for number in range(5):
        queue.on_end(span(str(number)))
    queue.start()
    eventually(lambda: len(exporter.names) == 5, "five spans")
    queue.on_end(span("last"))
    queue.shutdown()
    eventually(lambda: exporter.closed, "the exporter is closed")
    assert exporter.names == ["0", "1", "2", "3", "4", "last"]
    assert counts.spans == {"exported": 6}


def test_spans_beyond_the_bound_are_dropped_and_counted() -> None:
    exporter, counts = FakeExporter(), Counts()
    exporter.go.clear()
    queue = SpanQueue(exporter, counts, capacity=3)
    queue.start()
    queue.on_end(span("first"))
    assert exporter.entered.wait(bound(60))
    for number in range(5):
        queue.on_end(span(str(number)))
    assert counts.spans == {"dropped": 2}
    exporter.go.set()
    queue.shutdown()
    eventually(lambda: exporter.names == ["first", "0", "1", "2"], "what was kept")


def test_failed_exports_are_counted_and_the_next_one_is_tried() -> None:
    exporter, counts = FakeExporter(), Counts()
    queue = SpanQueue(exporter, counts)
    queue.start()
    exporter.problem = OSError("no route to host")
    queue.on_end(span("lost"))
    eventually(lambda: counts.spans["failed"] == 1, "a failed export")
    exporter.problem = SpanExportResult.FAILURE
    queue.on_end(span("lost"))
    eventually(lambda: counts.spans["failed"] == 2, "another one")
    exporter.problem = SpanExportResult.SUCCESS
    queue.on_end(span("kept"))
    eventually(lambda: counts.spans["exported"] == 1, "an export")
    queue.shutdown()
