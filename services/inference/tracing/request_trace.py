"""Spans of one request: the request itself, the model call, and the append to the prediction log.

Times are taken with the clock that the service uses anyway, and spans are made of them when the request is answered. Names follow
OpenTelemetry's semantic conventions for HTTP servers (v1.37); what they do not have begins with `homeostat.`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()
_SAMPLED = 0x01

Interval = tuple[float, float]


class RequestTrace:
    """What is known of a traced request; times are those of `time.perf_counter`."""

    def __init__(self, tracer: Tracer, parent: Context, method: str, route: str) -> None:
        self._tracer = tracer
        self._parent = parent
        self._name = f"{method} {route}"
        self._attributes: dict[str, Any] = {"http.request.method": method, "http.route": route}
        self._offset = time.time_ns() - round(time.perf_counter() * 1e9)
        self._began = time.perf_counter()
        self.calls: list[tuple[Interval, Interval, int]] = []

    def called(self, scored: Interval, appended: Interval, rows: int) -> None:
        """The model answered rows of this request, and they are in the log."""
        self.calls.append((scored, appended, rows))

    def end(self, status: int, servable: Any) -> None:
        """The request is answered. Makes the spans."""
        attributes = self._attributes | {"http.response.status_code": status}
        if servable is not None:
            attributes |= {
                "homeostat.model.name": servable.model,
                "homeostat.model.version": servable.version,
                "homeostat.model.generation": servable.generation,
            }
        model = {name: value for name, value in attributes.items() if name.startswith("homeostat.model.")}
        if self.calls:
            attributes["homeostat.prediction.count"] = sum(rows for _, _, rows in self.calls)
        if status >= 500:
            attributes["error.type"] = str(status)
        request = self._span(self._name, self._parent, self._began, SpanKind.SERVER, attributes)
        inside = set_span_in_context(request, self._parent)
        for scored, appended, rows in self.calls:
            counted = model | {"homeostat.prediction.count": rows}
            for name, (began, ended) in (("score", scored), ("append to prediction log", appended)):
                span = self._span(name, inside, began, SpanKind.INTERNAL, counted)
                span.end(self._nanoseconds(ended))
        if status >= 500:
            request.set_status(Status(StatusCode.ERROR))
        request.end(self._nanoseconds(time.perf_counter()))

    def _span(
        self, name: str, parent: Context, began: float, kind: SpanKind, attributes: dict[str, Any]
    ) -> Span:
        links: list[Link] = []
        return self._tracer.start_span(
            name, parent, kind, attributes, links, start_time=self._nanoseconds(began)
        )

    def _nanoseconds(self, moment: float) -> int:
        return self._offset + round(moment * 1e9)


# Of the request that the current task answers.
current_trace: ContextVar[RequestTrace | None] = ContextVar("request_trace", default=None)


class Tracing:
    """Decides which requests are traced: those whose client traces them (`traceparent`), and a share of the others."""

    def __init__(self, tracer: Tracer, *, ratio: float, draw: Callable[[], float] = random.random) -> None:
        """`ratio`: the share of requests without a trace context that are traced, from 0 to 1."""
        self._tracer = tracer
        self._ratio = ratio
        self._draw = draw
        self._owed = 0

    def takes_next(self) -> bool:
        """Whether a request that the fast path would answer is to be traced: then the ordinary path answers and traces it."""
        if self._ratio and self._draw() < self._ratio:
            self._owed += 1
            return True
        return False

    def begin(self, method: str, path: str, traceparent: str, tracestate: str) -> RequestTrace | None:
        """The trace of a request; None if it is not traced."""
        parent = Context()
        if traceparent:
            if not int(traceparent[-2:], 16) & _SAMPLED:
                return None
            parent = _PROPAGATOR.extract({"traceparent": traceparent, "tracestate": tracestate}, parent)
        elif self._owed:
            self._owed -= 1
        elif not self._ratio or self._draw() >= self._ratio:
            return None
        return RequestTrace(self._tracer, parent, method, route_of(path))


def route_of(path: str) -> str:
    """The path with placeholders for names, so that there are few routes; `/` followed by nothing known is `/{path}`."""
    parts = path.split("/")[1:]
    match parts:
        case ["v2", "models", _, *rest]:
            if len(rest) >= 2 and rest[0] == "versions":
                rest = ["versions", "{version}", *rest[2:]]
            return "/".join(["/v2/models/{model}", *rest[:3]]) if _is_known(rest) else "/{path}"
        case ["v2", "repository", "models", _, ("load" | "unload") as action]:
            return f"/v2/repository/models/{{model}}/{action}"
        case ["endpoints", _, "invocations"]:
            return "/endpoints/{endpoint}/invocations"
    return path if path in _ROUTES else "/{path}"


_ROUTES = frozenset({"/predict", "/outcomes", "/invocations", "/v2/repository/index"})


def _is_known(rest: list[str]) -> bool:
    return rest in (["infer"], ["versions", "{version}", "infer"])
