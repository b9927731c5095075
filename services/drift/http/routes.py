"""Routes of drift: verdicts, reports, an evaluation on request, and status."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from threading import Event
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from pydantic import BaseModel, ConfigDict

from services.drift.http.data_summaries import DataSummaries
from services.drift.http.reports import Reports
from services.drift.monitoring.model_status import ModelStatus
from services.drift.monitoring.monitor import Monitor
from services.drift.verdicts.store import VerdictStore
from shared.access.authenticator import Authenticator
from shared.contracts.event_time import parse_event_time
from shared.contracts.verdict import Verdict
from shared.errors import InvalidRequest, NotFound
from shared.http.host_check import AllowedHosts
from shared.http.json_body import described, read_json
from shared.http.own_threads import OwnThreads
from shared.http.responses import json_response

MAX_LIMIT = 1000
MAX_BODY_BYTES = 64 << 10
OBSERVING_THREADS = 2
EVALUATING_THREADS = 2  # evaluations run one after the other
EVALUATING_WAIT_SECONDS = 5.0  # of further requests for evaluations, for a thread


@dataclass(frozen=True)
class Dependencies:
    """What the routes need."""

    monitor: Monitor
    verdicts: VerdictStore
    reports: Reports
    summaries: DataSummaries
    registry: CollectorRegistry
    ready: Event
    started_at: datetime
    now: Callable[[], datetime]
    hosts: AllowedHosts
    authenticator: Authenticator


class EvaluationRequest(BaseModel):
    """`POST /models/{model}/evaluations`: a window, or nothing for the last complete one."""

    model_config = ConfigDict(extra="forbid")

    start: datetime | None = None
    end: datetime | None = None


def make_routes(dependencies: Dependencies) -> APIRouter:
    """All routes of the service."""
    routes = APIRouter()
    observing = OwnThreads(OBSERVING_THREADS)
    evaluating = OwnThreads(EVALUATING_THREADS, EVALUATING_WAIT_SECONDS)

    @routes.get("/status")
    async def status() -> Response:
        """Per model: evaluation progress, and the last verdict of each detector."""
        return json_response(
            await observing.run(
                lambda: {
                    "service": "drift",
                    "ready": dependencies.ready.is_set(),
                    "started_at": dependencies.started_at,
                    "unpublished": dependencies.verdicts.count_unpublished(),
                    "models": [
                        _status(status, dependencies.verdicts.last_of(status.model, "stream"))
                        for status in dependencies.monitor.statuses()
                    ],
                }
            )
        )

    @routes.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Metrics in Prometheus text format."""
        content = await observing.run(lambda: generate_latest(dependencies.registry))
        return Response(content, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    @routes.get("/verdicts")
    def verdicts(model: str | None = None, limit: str = "50") -> Response:
        """The newest verdicts first."""
        if not re.fullmatch(r"[0-9]{1,4}", limit) or not 1 <= int(limit) <= MAX_LIMIT:
            raise InvalidRequest(
                f"limit is {limit!r}", field="limit", expected=f"a whole number from 1 to {MAX_LIMIT}"
            )
        found = ",".join(dependencies.verdicts.latest_as_json(model, int(limit)))
        return Response(f'{{"verdicts":[{found}]}}', media_type="application/json")

    @routes.get("/verdicts/{verdict_id}", responses={200: {"model": Verdict}})
    def verdict(verdict_id: str) -> Response:
        """One verdict."""
        return json_response(dependencies.verdicts.get(verdict_id).model_dump(mode="json"))

    @routes.get("/reports/{verdict_id}", response_class=HTMLResponse)
    def report(verdict_id: str) -> Response:
        """The report as a web page, rendered on the first request; 503 if rendering takes too long: retry later."""
        return HTMLResponse(dependencies.reports.read(verdict_id, "html"))

    @routes.get("/reports/{verdict_id}/report.json")
    def report_json(verdict_id: str) -> Response:
        """The report's numbers."""
        return Response(dependencies.reports.read(verdict_id, "json"), media_type="application/json")

    @routes.get("/models/{model}/data-summary")
    def data_summary(model: str) -> Response:
        """Columns and findings of the newest logged rows. It is made in the background: poll while `is_making` is true."""
        if model not in dependencies.monitor.references.models():
            raise NotFound(f"there is no model {model}", hint="GET /status lists the models")
        return json_response(dependencies.summaries.read(model))

    @routes.post(
        "/models/{model}/evaluations",
        status_code=201,
        responses={200: {"model": Verdict}, 201: {"model": Verdict}},
        openapi_extra=described(EvaluationRequest),
    )
    async def evaluate(model: str, request: Request) -> Response:
        """Evaluate a window now: `start` and `end`, or the last complete one. 503 if that would wait for more than five seconds.

        It waits for the library that compares columns, and for other windows.
        """
        start, end = _window(await _body(request), dependencies.now())
        found, new = await evaluating.run(lambda: dependencies.monitor.evaluate_now(model, start, end))
        return json_response(found.model_dump(mode="json"), 201 if new else 200)

    return routes


async def _body(request: Request) -> dict[str, Any]:
    body: dict[str, Any] = await read_json(request, maximum_bytes=MAX_BODY_BYTES) or {}
    unknown = sorted(set(body) - {"start", "end"})
    if unknown:
        raise InvalidRequest(
            f"{unknown[0]} is not a field of an evaluation request",
            field=unknown[0],
            expected="start and end",
        )
    return body


def _window(body: dict[str, Any], now: datetime) -> tuple[datetime | None, datetime | None]:
    start, end = (_timestamp(body, name, now) for name in ("start", "end"))
    if (start is None) != (end is None):
        missing = "start" if start is None else "end"
        raise InvalidRequest(
            f"{missing} is missing", field=missing, expected="both start and end, or neither"
        )
    if start is not None and end is not None and start >= end:
        raise InvalidRequest("end is not after start", field="end", expected="a time after start")
    if end is not None and end > now:
        raise InvalidRequest("end lies in the future", field="end", expected="a time not after now")
    return start, end


def _timestamp(body: dict[str, Any], name: str, now: datetime) -> datetime | None:
    value = body.get(name)
    return None if value is None else parse_event_time(value, now, field=name)


def _status(status: ModelStatus, alarm: Verdict | None) -> dict[str, Any]:
    """`alarm`: the last verdict of stream detection."""
    fields = asdict(status) | {"state": status.state}
    fields["stream"] = {"last_verdict": alarm.model_dump(mode="json") if alarm is not None else None}
    for name, clock in (("inputs", status.inputs), ("performance", status.performance)):
        if clock is not None and clock.last_verdict is not None:
            fields[name]["last_verdict"] = clock.last_verdict.model_dump(mode="json")
    if status.alarm is not None:
        fields["alarm"] = status.alarm.model_dump(mode="json")
    if status.outcomes is not None:
        fields["outcomes"]["summary"] = status.outcomes.summary
    return fields
