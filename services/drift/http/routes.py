"""The HTTP door of drift: verdicts, their reports, an examination now, and how the loop is doing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from threading import Event
from typing import Any

import orjson
from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from services.drift.http.reports import Reports
from services.drift.monitoring.model_status import ModelStatus
from services.drift.monitoring.monitor import Follower
from services.drift.verdicts.store import VerdictStore
from shared.contracts.event_time import check_event_time
from shared.errors import InvalidRequest
from shared.http.host_check import Doorkeeper

LARGEST_LIMIT = 1000
LARGEST_BODY = 64 << 10
# Probes and Prometheus ask by whatever address a machine has that day, and learn figures only.
ANY_NAME = frozenset({"/health/live", "/health/ready", "/metrics"})


@dataclass(frozen=True)
class Door:
    """What the routes hand requests to."""

    follower: Follower
    verdicts: VerdictStore
    reports: Reports
    registry: CollectorRegistry
    ready: Event
    started_at: datetime
    now: Callable[[], datetime]
    keeper: Doorkeeper


def make_routes(door: Door) -> APIRouter:
    """All routes of the service."""

    async def expected(request: Request) -> None:
        if request.scope["path"] not in ANY_NAME:
            door.keeper.check(request.method, request.headers)

    routes = APIRouter(dependencies=[Depends(expected)])

    @routes.get("/health/live")
    def live() -> Response:
        """The process answers."""
        return _json({"live": True})

    @routes.get("/health/ready")
    def ready() -> Response:
        """Evidently is loaded and the loop looks at the lake."""
        return _json({"ready": door.ready.is_set()}, 200 if door.ready.is_set() else 503)

    @routes.get("/status")
    def status() -> Response:
        """Per model: how far the examination is, and the last verdict."""
        return _json(
            {
                "service": "drift",
                "ready": door.ready.is_set(),
                "started_at": door.started_at,
                "unpublished": door.verdicts.count_unpublished(),
                "models": [_status(status) for status in door.follower.statuses()],
            }
        )

    @routes.get("/metrics")
    def metrics() -> Response:
        """Prometheus text."""
        return Response(generate_latest(door.registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    @routes.get("/verdicts")
    def verdicts(model: str | None = None, limit: str = "50") -> Response:
        """The newest verdicts first."""
        if not limit.isdigit() or not 1 <= int(limit) <= LARGEST_LIMIT:
            raise InvalidRequest(
                f"limit is {limit!r}", field="limit", expected=f"a whole number from 1 to {LARGEST_LIMIT}"
            )
        found = ",".join(door.verdicts.latest_as_json(model, int(limit)))
        return Response(f'{{"verdicts":[{found}]}}', media_type="application/json")

    @routes.get("/verdicts/{verdict_id}")
    def verdict(verdict_id: str) -> Response:
        """One verdict."""
        return _json(door.verdicts.get(verdict_id).model_dump(mode="json"))

    @routes.get("/reports/{verdict_id}")
    def report(verdict_id: str) -> Response:
        """The report as a page, drawn at the first look."""
        return HTMLResponse(door.reports.read(verdict_id, "html"))

    @routes.get("/reports/{verdict_id}/report.json")
    def report_json(verdict_id: str) -> Response:
        """The report's numbers."""
        return Response(door.reports.read(verdict_id, "json"), media_type="application/json")

    @routes.post("/models/{model}/examinations")
    async def examine(model: str, request: Request) -> Response:
        """Judge a window now: `start` and `end`, or the last complete one."""
        start, end = _window(await _body(request), door.now())
        found, new = await run_in_threadpool(door.follower.examine, model, start, end)
        return _json(found.model_dump(mode="json"), 201 if new else 200)

    return routes


async def _body(request: Request) -> dict[str, Any]:
    # A page of another site may have the browser send text or a form here, but not JSON: for that it must be allowed first.
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise InvalidRequest(
            f"the header Content-Type is {kind or 'missing'}; a request must say application/json",
            field="Content-Type",
            expected="application/json",
            status=415,
        )
    raw = b""
    async for piece in request.stream():
        raw += piece
        if len(raw) > LARGEST_BODY:
            raise InvalidRequest(
                "the body is too big", field="body", expected=f"at most {LARGEST_BODY} bytes", status=413
            )
    if not raw.strip():
        return {}
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(
            "the body is not JSON",
            field="body",
            expected="a JSON object with start and end, or nothing",
            status=400,
        ) from error
    if not isinstance(body, dict):
        raise InvalidRequest(
            "the body is not an object",
            field="body",
            expected="a JSON object with start and end, or nothing",
            status=400,
        )
    unknown = sorted(set(body) - {"start", "end"})
    if unknown:
        raise InvalidRequest(
            f"{unknown[0]} is no field of an examination", field=unknown[0], expected="start and end"
        )
    return body


def _window(body: dict[str, Any], now: datetime) -> tuple[datetime | None, datetime | None]:
    start, end = (_moment(body, name, now) for name in ("start", "end"))
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


def _moment(body: dict[str, Any], name: str, now: datetime) -> datetime | None:
    value = body.get(name)
    if value is None:
        return None
    wrong = InvalidRequest(
        f"{name} is {value!r}",
        field=name,
        expected="an ISO 8601 time with its offset, such as 2026-01-31T00:00:00Z",
    )
    if not isinstance(value, str):
        raise wrong
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise wrong
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise wrong from None
    return check_event_time(moment, now, field=name)


def _status(status: ModelStatus) -> dict[str, Any]:
    fields = asdict(status)
    last = status.last_verdict
    fields["last_verdict"] = last.model_dump(mode="json") if last is not None else None
    return fields


def _json(content: Any, status: int = 200) -> Response:
    # orjson writes NaN and infinity as null: what is no number never reaches a reader as one.
    return Response(orjson.dumps(content), status_code=status, media_type="application/json")
