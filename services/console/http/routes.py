"""The console's dependencies: the page, its facts as JSON, the reports, and what the buttons do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
from fastapi import APIRouter, Request, Response
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from services.console.aggregation.aggregator import Aggregator
from services.console.http.action_client import ActionClient
from services.console.http.csrf import check_framed, check_header
from services.console.http.request_bodies import Acknowledgement, Answer, Asked, Rollback
from services.console.metrics import ConsoleMetrics
from services.console.views.page import draw_main, draw_page, shell
from services.console.views.report_frame import FRAME_POLICY, REPORT_POLICY, draw_absence, draw_frame
from shared.errors import DependencyUnavailable, HomeostatError, InvalidRequest, NotFound
from shared.http.json_body import parse_model, read_json
from shared.http.responses import json_response

LARGEST_BODY = 16 << 10
REPORT_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Dependencies:
    """What the routes use. `drift` is the base URL of the reports; a proxy names the acting person in `actor_header`."""

    aggregator: Aggregator
    actions: ActionClient
    client: httpx.AsyncClient
    drift: Callable[[], str]
    actor_header: str
    metrics: ConsoleMetrics


def make_router(dependencies: Dependencies) -> APIRouter:
    """All routes of the console."""
    router = APIRouter()

    @router.get("/metrics")
    async def metrics() -> Response:
        """Metrics in Prometheus text format."""
        text = generate_latest(dependencies.metrics.registry)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    @router.get("/")
    async def page(request: Request) -> Response:
        """The page."""
        known = request.headers.get(dependencies.actor_header, "") if dependencies.actor_header else ""
        return _html(draw_page(await dependencies.aggregator.snapshot(), actor=known), shell().policy)

    @router.get("/main")
    async def main() -> Response:
        """What the page shows, drawn anew: its script puts it in place."""
        return _html(draw_main(await dependencies.aggregator.snapshot()), shell().policy)

    @router.get("/status.json")
    async def status() -> Response:
        """The same facts, for programs."""
        return json_response(await dependencies.aggregator.snapshot())

    @router.get("/reports/{verdict_id}")
    async def report(verdict_id: str) -> Response:
        """The page around drift's report about a verdict."""
        return _html(draw_frame(verdict_id), FRAME_POLICY)

    @router.get("/reports/{verdict_id}/content")
    async def content(verdict_id: str, request: Request) -> Response:
        """The report itself, shut in; for the frame in that page alone."""
        check_framed(request.headers)
        try:
            answer = _html(await _report(dependencies, verdict_id), REPORT_POLICY)
        except HomeostatError as error:
            answer = _html(draw_absence(error.message, error.hint), REPORT_POLICY)
            answer.status_code = error.status
        answer.headers["X-Frame-Options"] = "SAMEORIGIN"
        return answer

    @router.post("/api/runs/{run_id}/approve")
    async def approve(run_id: str, request: Request) -> Response:
        """Let a waiting run go on."""
        return await answer(run_id, "approve", request)

    @router.post("/api/runs/{run_id}/reject")
    async def reject(run_id: str, request: Request) -> Response:
        """End a waiting run."""
        return await answer(run_id, "reject", request)

    async def answer(run_id: str, word: str, request: Request) -> Response:
        asked = await _read(Answer, request)
        actor = _actor(dependencies, request, asked.actor)
        done = dependencies.actions.answer(
            run_id, word, actor=actor, state=asked.state, gate_digest=asked.gate_digest
        )
        return await acted("run", done)

    @router.post("/api/causes/{cause_key}/acknowledge")
    async def acknowledge(cause_key: str, request: Request) -> Response:
        """Record that a decision was seen, or it and the older ones of its group."""
        asked = await _read(Acknowledgement, request)
        actor = _actor(dependencies, request, asked.actor)
        done = dependencies.actions.acknowledge(
            cause_key, actor=actor, note=asked.note, older=asked.of_older()
        )
        return await acted("acknowledgement", done)

    @router.post("/api/models/{model}/rollback")
    async def rollback(model: str, request: Request) -> Response:
        """Put an earlier version back, once."""
        asked = await _read(Rollback, request)
        done = dependencies.actions.roll_back(
            model,
            actor=_actor(dependencies, request, asked.actor),
            reason=asked.reason,
            to_generation=asked.to_generation,
            expected_generation=asked.expected_generation,
        )
        return await acted("release", done)

    async def acted(name: str, doing: Awaitable[dict[str, Any]]) -> Response:
        try:
            return json_response({name: await doing})
        finally:  # whatever came of it, what is shown next is of afterwards
            dependencies.aggregator.forget()

    return router


async def _read(kind: type[Asked], request: Request) -> Asked:
    check_header(request.headers)
    return parse_model(kind, await read_json(request, maximum_bytes=LARGEST_BODY))


def _actor(dependencies: Dependencies, request: Request, said: str) -> str:
    """Who acts: whom the proxy names where there is one, else the name the person gave."""
    named = request.headers.get(dependencies.actor_header, "").strip() if dependencies.actor_header else said
    if not named:
        raise InvalidRequest("nobody says who acts", field="actor", expected="a name of 1 to 200 characters")
    return named[:200]


async def _report(dependencies: Dependencies, verdict_id: str) -> bytes:
    try:
        answer = await dependencies.client.get(
            f"{dependencies.drift()}/reports/{quote(verdict_id, safe='')}", timeout=REPORT_TIMEOUT_S
        )
    except httpx.HTTPError as error:
        raise DependencyUnavailable(
            "drift does not answer", hint="`homeostat status` names its log"
        ) from error
    if answer.status_code == 404:
        raise NotFound(f"there is no report about {verdict_id}", hint="go back to the console")
    if answer.status_code != 200:
        raise DependencyUnavailable(
            f"drift answers {answer.status_code}", hint="`homeostat status` names its log"
        )
    return answer.content


def _html(content: str | bytes, policy: str) -> Response:
    return Response(content, media_type="text/html", headers={"Content-Security-Policy": policy})
