"""Routes of the console: the page, the same data as JSON, reports, and the actions of the buttons."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from pydantic import ValidationError
from pydantic_core import to_json

from services.console.aggregation.aggregator import Aggregator
from services.console.aggregation.console_snapshot import ConsoleSnapshot
from services.console.aggregation.data_summary import DataSummary
from services.console.http.action_client import ActionClient, Actor, path_segment
from services.console.http.console_access import credential_of
from services.console.http.csrf import HEADER, check_framed, check_header
from services.console.http.listener_check import check_listener
from services.console.http.login_routes import PAGE_OR_ERROR, TO_LOGIN, Logins, add_login_routes
from services.console.http.oidc_routes import add_oidc_routes
from services.console.http.request_bodies import Acknowledgement, Answer, Body, Rollback
from services.console.metrics import ConsoleMetrics
from services.console.sessions.oidc_client import OidcClient
from services.console.views.data_page import DATA_POLICY, render_data
from services.console.views.page import PAGE_POLICY, render_main, render_page
from services.console.views.report_frame import (
    FRAME_POLICY,
    GATE_POLICY,
    REPORT_POLICY,
    render_frame,
    render_missing_report,
)
from services.console.views.viewer import Viewer
from shared.access.caller import NotPermitted
from shared.errors import DependencyUnavailable, HomeostatError, NotFound
from shared.http.access_check import caller_of
from shared.http.errors import RETRY_AFTER_S
from shared.http.json_body import described, parse_model, read_json
from shared.http.responses import json_response

MAXIMUM_BODY_BYTES = 16 << 10
REPORT_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Dependencies:
    """What the routes need. `drift` and `retraining`: the base URLs of their pages; `api_key` is the console's own, for reading.

    `oidc`: the client of the identity provider, None without one; `url`: at which browsers reach the console; `owners`: ids of
    the users who may listen on ports of this machine to which credentials are sent.
    """

    aggregator: Aggregator
    actions: ActionClient
    client: httpx.AsyncClient
    drift: Callable[[], str]
    retraining: Callable[[], str]
    metrics: ConsoleMetrics
    logins: Logins
    api_key: str = field(default="", repr=False)
    oidc: OidcClient | None = None
    url: str = ""
    owners: frozenset[int] = frozenset()


def make_router(dependencies: Dependencies) -> APIRouter:
    """All routes of the console."""
    router = APIRouter()
    add_login_routes(router, dependencies.logins)
    add_oidc_routes(router, dependencies.logins, dependencies.oidc, dependencies.url)

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Metrics in Prometheus text format."""
        text = generate_latest(dependencies.metrics.registry)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    @router.get("/", response_class=HTMLResponse, responses=TO_LOGIN)
    async def page(request: Request) -> Response:
        """The console's page."""
        snapshot = await dependencies.aggregator.snapshot()
        return _html(render_page(snapshot, _viewer(request, snapshot)), PAGE_POLICY)

    @router.get("/main", response_class=HTMLResponse)
    async def main(request: Request) -> Response:
        """The content of the page, which its script refreshes."""
        snapshot = await dependencies.aggregator.snapshot()
        return _html(render_main(snapshot, _viewer(request, snapshot)), PAGE_POLICY)

    @router.get("/status.json")
    async def status() -> Response:
        """The same data as JSON."""
        return Response(to_json(await dependencies.aggregator.snapshot()), media_type="application/json")

    @router.get("/reports/{verdict_id}", response_class=HTMLResponse, responses=TO_LOGIN)
    async def report(verdict_id: str) -> Response:
        """A page that shows drift's report about a verdict in a frame."""
        return _html(render_frame(verdict_id), FRAME_POLICY)

    @router.get("/reports/{verdict_id}/content", response_class=HTMLResponse, responses=PAGE_OR_ERROR)
    async def content(verdict_id: str, request: Request) -> Response:
        """The report, sandboxed; only for the frame of that page."""
        check_framed(request.headers)
        try:
            answer = _html(await _report(dependencies, verdict_id, request), REPORT_POLICY)
        except HomeostatError as error:
            answer = _html(render_missing_report(error.message, error.hint), REPORT_POLICY)
            answer.status_code = error.status
            if error.status in (429, 503):
                answer.headers["Retry-After"] = str(RETRY_AFTER_S)
        answer.headers["X-Frame-Options"] = "SAMEORIGIN"
        return answer

    @router.get("/models/{model}/data", response_class=HTMLResponse, responses=TO_LOGIN)
    async def data(model: str, request: Request) -> Response:
        """A page with columns and findings of the newest logged rows, which drift summarises in the background."""
        path, missing = f"/models/{path_segment(model)}/data-summary", f"there is no model {model}"
        found = await _page(dependencies, ("drift", dependencies.drift()), path, request, missing=missing)
        try:
            summary = DataSummary.model_validate_json(found)
        except ValidationError as error:
            raise DependencyUnavailable("drift returned an invalid summary") from error
        return _html(render_data(summary), DATA_POLICY)

    @router.get("/runs/{run_id}/gate")
    async def gate(run_id: str, request: Request) -> Response:
        """The page of retraining about the gate of a run. It has no scripts, and none would run."""
        path = f"/runs/{path_segment(run_id)}/gate"
        service = "retraining", dependencies.retraining()
        page = await _page(dependencies, service, path, request, missing=f"{run_id} has no gate result")
        return _html(page, GATE_POLICY)

    @router.post("/api/runs/{run_id}/approve", openapi_extra=_action(Answer))
    async def approve(run_id: str, request: Request) -> Response:
        """Approve a run that awaits approval."""
        return await answer(run_id, "approve", request)

    @router.post("/api/runs/{run_id}/reject", openapi_extra=_action(Answer))
    async def reject(run_id: str, request: Request) -> Response:
        """Reject a run that awaits approval."""
        return await answer(run_id, "reject", request)

    async def answer(run_id: str, verb: str, request: Request) -> Response:
        body = await _read_body(Answer, request)
        action = dependencies.actions.answer(
            run_id, verb, _actor(request, body.actor), state=body.state, gate_digest=body.gate_digest
        )
        return await perform("run", action)

    @router.post("/api/causes/{cause_key}/acknowledge", openapi_extra=_action(Acknowledgement))
    async def acknowledge(cause_key: str, request: Request) -> Response:
        """Acknowledge a decision, and optionally the older ones of its group."""
        body = await _read_body(Acknowledgement, request)
        action = dependencies.actions.acknowledge(
            cause_key, _actor(request, body.actor), note=body.note, older=body.of_older()
        )
        return await perform("acknowledgement", action)

    @router.post("/api/models/{model}/rollback", openapi_extra=_action(Rollback))
    async def rollback(model: str, request: Request) -> Response:
        """Release an earlier version again."""
        body = await _read_body(Rollback, request)
        action = dependencies.actions.roll_back(
            model,
            _actor(request, body.actor),
            reason=body.reason,
            to_generation=body.to_generation,
            expected_generation=body.expected_generation,
        )
        return await perform("release", action)

    async def perform(name: str, action: Awaitable[dict[str, Any]]) -> Response:
        try:
            return json_response({name: await action})
        finally:  # also after an error: the action may have been done
            dependencies.aggregator.invalidate()

    return router


def _action(body: type[Body]) -> dict[str, Any]:
    """How the OpenAPI document describes a request that acts: its body, and the header that only a script can send."""
    header = {"name": HEADER, "in": "header", "required": True, "schema": {"type": "string", "minLength": 1}}
    return described(body) | {"parameters": [header]}


async def _read_body(kind: type[Body], request: Request) -> Body:
    check_header(request.headers)
    return parse_model(kind, await read_json(request, maximum_bytes=MAXIMUM_BODY_BYTES))


def _viewer(request: Request, snapshot: ConsoleSnapshot) -> Viewer:
    caller = caller_of(request.scope)
    return Viewer(caller, snapshot.delegations_to(caller.name))


def _actor(request: Request, claimed: str) -> Actor:
    """The sender, with the credential to forward. Retraining authenticates it, and derives the name to record."""
    viewer = Viewer(caller_of(request.scope))
    name = claimed if viewer.gives_name and claimed else viewer.name
    return Actor(name, credential_of(request.scope))


async def _report(dependencies: Dependencies, verdict_id: str, request: Request) -> bytes:
    path = f"/reports/{path_segment(verdict_id)}"
    missing = f"there is no report about {verdict_id}"
    return await _page(dependencies, ("drift", dependencies.drift()), path, request, missing=missing)


async def _page(
    dependencies: Dependencies, service_at: tuple[str, str], path: str, request: Request, *, missing: str
) -> bytes:
    """A page of a service, by its name and base URL, read with the viewer's credential."""
    service, base = service_at
    credential = credential_of(request.scope) or (
        f"Bearer {dependencies.api_key}" if dependencies.api_key else ""
    )
    if credential:
        check_listener(base, dependencies.owners)
    try:
        answer = await dependencies.client.get(
            f"{base}{path}",
            timeout=REPORT_TIMEOUT_S,
            headers={"Authorization": credential} if credential else {},
        )
    except httpx.HTTPError as error:
        raise DependencyUnavailable(
            f"{service} does not respond", hint="`homeostat status` shows its log file"
        ) from error
    if answer.status_code == 404:
        raise NotFound(missing, hint="go back to the console")
    if answer.status_code in (401, 403):
        raise NotPermitted(
            f"{service} does not let you read its pages (status {answer.status_code})",
            hint=f"log in with an API key that {service} knows and that has the scope read",
        )
    if answer.status_code == 429:
        raise DependencyUnavailable(
            f"{service} has had too many requests with this key",
            hint="wait some seconds and open the page again",
        )
    if answer.status_code != 200:
        raise DependencyUnavailable(
            f"{service} returned status {answer.status_code}", hint="`homeostat status` shows its log file"
        )
    return answer.content


def _html(content: str | bytes, policy: str) -> Response:
    return Response(content, media_type="text/html", headers={"Content-Security-Policy": policy})
