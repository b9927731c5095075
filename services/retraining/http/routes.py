"""The deps of retraining. Each reads its request, asks the controller or the ledger, and answers JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.retraining.controller import Controller
from services.retraining.http.lineage import describe_run, why_cause, why_prediction, why_run, why_version
from services.retraining.ledger.acknowledgements import BulkAcknowledgement
from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.records import Recorded
from services.retraining.ledger_gauges import clear_gauges, update_gauges
from services.retraining.metrics import RetrainingMetrics
from services.retraining.policy.attention import Issue
from services.retraining.rollout.rollback import default_rollback_generation
from services.retraining.run_states import TRANSITIONS
from services.retraining.triggers.webhooks import read_triggers
from shared.errors import DependencyUnavailable, InvalidRequest
from shared.http.host_check import AllowedHosts
from shared.http.json_body import parse_model, read_json
from shared.http.responses import json_response
from shared.stores.lake import Lake
from shared.stores.model_store import ModelStore


@dataclass(frozen=True)
class RouteDependencies:
    """What the deps lead to. `status` gives the body of `/status`; its `ready` says whether this process can work."""

    controller: Controller
    ledger: Ledger
    store: ModelStore
    lake: Lake
    metrics: RetrainingMetrics
    status: Callable[[], dict[str, Any]]
    clock: Callable[[], datetime]
    hosts: AllowedHosts
    maximum_body_bytes: int


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Deployment(_Body):
    """`POST /models/{model}/deployments`."""

    version: str = Field(pattern=r"^[0-9a-f]{64}$")
    project_directory: str = ""
    actor: str = Field(min_length=1, max_length=200)


class Rollback(_Body):
    """`POST /models/{model}/rollback`."""

    actor: str = Field(min_length=1, max_length=200)
    reason: str = Field("", max_length=500)
    to_generation: int | None = Field(None, ge=1)
    expected_generation: int | None = Field(None, ge=1)


class Answer(_Body):
    """`POST /runs/{run_id}/approve` and `…/reject`."""

    actor: str = Field(min_length=1, max_length=200)


class Acknowledgement(_Body):
    """`POST /causes/{key}/acknowledge`."""

    actor: str = Field(min_length=1, max_length=200)
    note: str = Field("", max_length=500)
    and_older: bool = Field(False, strict=True)
    issue: Issue | None = None
    expected_older: int | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _about_older(self) -> Acknowledgement:
        if not self.and_older and (self.issue is not None or self.expected_older is not None):
            raise ValueError("issue and expected_older say which older decisions are meant: set and_older")
        return self


async def _document(request: Request) -> Any:
    return await read_json(request, maximum_bytes=request.app.state.maximum_body_bytes)


Document = Annotated[Any, Depends(_document)]
Limit = Annotated[int, Query(ge=1, le=1000)]


def make_router(deps: RouteDependencies) -> APIRouter:
    """All deps. They block on disk and database, so they are plain functions that FastAPI runs in threads."""
    router = APIRouter()

    @router.get("/status")
    def status() -> Response:
        """Who drives the runs, what is open, how far the mirror is."""
        return json_response(deps.status())

    @router.get("/metrics")
    def metrics() -> Response:
        """Prometheus text; it answers without the ledger too, since that is when it is looked at."""
        try:
            figures = deps.ledger.metrics_snapshot()
        except DependencyUnavailable:
            clear_gauges(deps.metrics)
        else:
            update_gauges(deps.metrics, figures, deps.clock())
        return Response(generate_latest(deps.metrics.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    @router.post("/triggers", status_code=202)
    def triggers(document: Document) -> Response:
        """Hear a cause: our own body, Alertmanager's or Grafana's; the decision about each is the answer."""
        causes, left_out = read_triggers(document, deps.clock())
        return json_response(
            {
                "causes": [_recorded(deps.controller.handle_cause(cause)) for cause in causes],
                "ignored": left_out,
            },
            202,
        )

    @router.get("/models/{model}/releases")
    def releases(model: str) -> Response:
        """The release log, oldest first, and the generation that a rollback without a target restores."""
        log = deps.store.releases(model)
        return json_response(
            {
                "model": model,
                "releases": [entry.model_dump(mode="json") for entry in log],
                "rollback_target": default_rollback_generation(log),
            }
        )

    @router.post("/models/{model}/deployments", status_code=201)
    def deployments(model: str, document: Document) -> Response:
        """Release a version; the same version again is not released twice."""
        asked = parse_model(Deployment, document)
        release, new = deps.controller.deploy(model, asked.version, asked.project_directory, asked.actor)
        return json_response({"release": release.model_dump(mode="json"), "new": new}, 201 if new else 200)

    @router.post("/models/{model}/rollback", status_code=201)
    def rollback(model: str, document: Document) -> Response:
        """Release the version before, or that of a given generation, again; 409 unless `expected_generation` is served."""
        asked = parse_model(Rollback, document)
        release = deps.controller.rollback(
            model, asked.actor, asked.reason, asked.to_generation, asked.expected_generation
        )
        return json_response({"release": release.model_dump(mode="json")}, 201)

    @router.get("/runs")
    def runs(model: str = "", state: str = "", limit: Limit = 100) -> Response:
        """Runs, newest first, by model and state."""
        if state and state not in TRANSITIONS:
            raise InvalidRequest(f"there is no state {state}", field="state", expected=", ".join(TRANSITIONS))
        found = deps.ledger.runs(model, (state,) if state else (), limit)
        return json_response({"runs": [describe_run(run) for run in found]})

    @router.get("/runs/{run_id}")
    def run(run_id: str) -> Response:
        """One run: its steps, what was measured at the gate, who answered."""
        return json_response(describe_run(deps.ledger.run(run_id), deps.ledger.answers(run_id)))

    @router.post("/runs/{run_id}/approve")
    def approve(run_id: str, document: Document) -> Response:
        """Let a waiting run go on: start what was suggested, promote what is proven."""
        return json_response(
            describe_run(
                deps.controller.approve(run_id, parse_model(Answer, document).actor),
                deps.ledger.answers(run_id),
            )
        )

    @router.post("/runs/{run_id}/reject")
    def reject(run_id: str, document: Document) -> Response:
        """End a waiting run."""
        return json_response(
            describe_run(
                deps.controller.reject(run_id, parse_model(Answer, document).actor),
                deps.ledger.answers(run_id),
            )
        )

    @router.get("/decisions")
    def decisions(model: str = "", limit: Limit = 100) -> Response:
        """Every decision with its reason, also those to do nothing, newest first; and what waits to be seen, in groups."""
        return json_response(
            {
                "decisions": deps.ledger.decisions(model, limit),
                "unacknowledged": deps.ledger.unacknowledged(model),
            }
        )

    @router.post("/causes/{key}/acknowledge")
    def acknowledge(key: str, document: Document) -> Response:
        """Record that a person has seen the decision about a cause, or it and all older ones; the first word stands."""
        asked = parse_model(Acknowledgement, document)
        older = BulkAcknowledgement(asked.issue, asked.expected_older) if asked.and_older else None
        return json_response(deps.controller.acknowledge(key, asked.actor, asked.note, older))

    @router.get("/predictions/{prediction_id}/why")
    def prediction_why(prediction_id: str) -> Response:
        """The chain from a prediction to the cause of the version that answered."""
        return json_response(why_prediction(deps.ledger, deps.store, deps.lake, prediction_id))

    @router.get("/versions/{version}/why")
    def version_why(version: str) -> Response:
        """The chain from a version to its cause, its releases, and how many predictions it answered; the short form will do."""
        return json_response(why_version(deps.ledger, deps.store, deps.lake, version))

    @router.get("/runs/{run_id}/why")
    def run_why(run_id: str) -> Response:
        """The chain from a run to its cause, and to the predictions its version answered."""
        return json_response(why_run(deps.ledger, deps.store, deps.lake, run_id))

    @router.get("/causes/{key}/why")
    def cause_why(key: str) -> Response:
        """The chain from a cause to its decision, run, version, releases and predictions, as far as it went."""
        return json_response(why_cause(deps.ledger, deps.store, deps.lake, key))

    return router


def _recorded(done: Recorded) -> dict[str, Any]:
    return {
        "cause_key": done.cause_key,
        "action": done.decision.action,
        "reason_code": done.decision.reason_code,
        "reason": done.decision.reason,
        "run_id": done.run_id,
        "new": done.new,
    }
