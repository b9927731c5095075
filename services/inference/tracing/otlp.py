"""Connects spans with a receiver of OTLP over HTTP."""

from __future__ import annotations

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from services.inference.tracing.request_trace import Tracing
from services.inference.tracing.span_queue import SpanCounts, SpanQueue

_TIMEOUT_SECONDS = 5.0


def open_tracing(
    endpoint: str, counts: SpanCounts, *, ratio: float, instance: str
) -> tuple[Tracing | None, SpanQueue | None]:
    """What traces requests, and its queue, which the caller starts and shuts down; None for an empty endpoint.

    `instance` tells the servers of an installation apart.
    """
    if not endpoint:
        return None, None
    # Imported here: without an endpoint nothing of it is used.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=_TIMEOUT_SECONDS)
    queue = SpanQueue(exporter, counts)
    resource = Resource.create({"service.name": "homeostat-inference", "service.instance.id": instance})
    # Spans are made of requests that are to be traced only, so the provider samples all.
    provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(queue)
    return Tracing(provider.get_tracer("services.inference"), ratio=ratio), queue
