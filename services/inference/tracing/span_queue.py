"""Finished spans on their way to the exporter: a bounded queue, emptied by a thread. No answer waits for it."""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from shared.observability.logs import get_logger

_log = get_logger(__name__)
_MAX_SPANS = 4096
_BATCH = 512
_EVERY_SECONDS = 1.0


class SpanCounts(Protocol):
    """Where spans are counted."""

    def count(self, result: str, spans: int) -> None: ...


class SpanQueue(SpanProcessor):  # type: ignore[misc]
    """Keeps at most `capacity` spans; further ones are dropped and counted, as are those of a failed export."""

    def __init__(self, exporter: SpanExporter, counts: SpanCounts, *, capacity: int = _MAX_SPANS) -> None:
        self._exporter = exporter
        self._counts = counts
        self._capacity = capacity
        self._spans: deque[ReadableSpan] = deque()
        self._due = threading.Event()
        self._stopping = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="span-export", daemon=True)

    def start(self) -> None:
        """Start to export."""
        self._thread.start()

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a finished span."""
        if len(self._spans) >= self._capacity:
            self._counts.count("dropped", 1)
            return
        self._spans.append(span)
        if len(self._spans) >= _BATCH:
            self._due.set()

    def shutdown(self) -> None:
        """Export what is left, for two seconds at most."""
        self._stopping = True
        self._due.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=2.0)

    def _run(self) -> None:
        while not self._stopping:
            self._due.wait(_EVERY_SECONDS)
            self._due.clear()
            while self._spans:
                self._export([self._spans.popleft() for _ in range(min(_BATCH, len(self._spans)))])
        self._exporter.shutdown()

    def _export(self, batch: list[ReadableSpan]) -> None:
        problem = "the receiver did not accept them"
        try:
            is_accepted = self._exporter.export(batch) is SpanExportResult.SUCCESS
        except Exception as error:  # of any kind: spans are never worth a failure
            is_accepted, problem = False, str(error) or type(error).__name__
        self._counts.count("exported" if is_accepted else "failed", len(batch))
        if not is_accepted and not self._failing:
            _log.warning("spans_not_exported", spans=len(batch), problem=problem)
        self._failing = not is_accepted
