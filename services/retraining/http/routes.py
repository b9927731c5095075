"""The HTTP routes of retraining. Each parses its request, calls the controller or the ledger, and returns JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from services.retraining.controller import Controller
from services.retraining.histories import Histories
from services.retraining.http.dead_letter_routes import add_dead_letter_routes
from services.retraining.http.delegation_routes import add_delegation_routes
from services.retraining.http.document import Document
from services.retraining.http.gate_routes import add_gate_routes
from services.retraining.http.lineage import (
    describe_run,
    why_cause,
    why_prediction,
    why_run,
    why_version,
    without_measures,
)
from services.retraining.http.policy_routes import add_policy_routes
from services.retraining.http.request_bodies import (
    Acknowledgement,
    Alerts,
    Answer,
    Deployment,
    Rollback,
    Trigger,
)
from services.retraining.http.step_routes import add_step_routes
from services.retraining.ledger.acknowledgements import BulkAcknowledgement
from services.retraining.ledger.approvals.answering import Authority
from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.records import Recorded, Run
from services.retraining.ledger_gauges import clear_gauges, update_gauges, update_policies
from services.retraining.metrics import RetrainingMetrics
from services.retraining.policy.live_costs import PolicyCost
from services.retraining.rollout.rollback import default_rollback_generation
from services.retraining.run_states import TRANSITIONS
from services.retraining.triggers.dead_letters import VerdictDeadLetters
from services.retraining.triggers.webhooks import read_triggers
from shared.access.authenticator import Authenticator
from shared.access.caller import Caller
from shared.access.scope import Scope
from shared.errors import DependencyUnavailable, InvalidRequest
from shared.http.access_check import caller_of
from shared.http.host_check import AllowedHosts
from shared.http.json_body import described as body_of
from shared.http.json_body import parse_model
from shared.http.own_threads import OwnThreads
from shared.http.responses import json_response
from shared.messaging.record_mac import RecordMac
from shared.stores.lake import Lake
from shared.stores.model_store import ModelStore

OBSERVING_THREADS = 2


@dataclass(frozen=True)
class RouteDependencies:
    """Dependencies of the routes. `status` returns the body of `/status`; `is_ready`: whether this process can work.

    `mac` knows drift's keys, which attest the verdicts that alerts name. `runs`: the folder of all runs' files.
    """

    controller: Controller
    ledger: Ledger
    store: ModelStore
    lake: Lake
    metrics: RetrainingMetrics
    status: Callable[[], dict[str, Any]]
    is_ready: Callable[[], bool]
    clock: Callable[[], datetime]
    hosts: AllowedHosts
    authenticator: Authenticator
    maximum_body_bytes: int
    mac: RecordMac
    runs: Path
    histories: Histories
    policy_costs: Callable[[], Mapping[str, Sequence[PolicyCost]]]
    dead_letters: VerdictDeadLetters


def _caller(request: Request) -> Caller:
    return caller_of(request.scope)


# Who is recorded for an action: the caller, with the name that the body claims (`Caller.actor`).
By = Annotated[Caller, Depends(_caller)]
Limit = Annotated[int, Query(ge=1, le=1000)]


def make_router(deps: RouteDependencies) -> APIRouter:
    """All routes. They block on disk and database, so they are plain functions that FastAPI runs in threads.

    Status and metrics have threads of their own.
    """
    router = APIRouter()
    observing = OwnThreads(OBSERVING_THREADS)

    def authority_of(caller: Caller) -> Authority:
        if Scope.APPROVE not in caller.scopes:
            still_approves = partial(deps.authenticator.has_scope, scope=Scope.APPROVE)
            return Authority(may_be_own=False, delegated=still_approves)
        # An admin may release any version, so the rule of two persons could not bind one.
        return Authority(may_be_own=Scope.ADMIN in caller.scopes)

    def described(run: Run) -> Response:
        return json_response(describe_run(run, deps.ledger.answers(run.run_id)))

    @router.get("/status")
    async def status() -> Response:
        """Leader, runs in progress, MLflow backlog, and losses of the first and the served version per model."""
        return json_response(await observing.run(deps.status))

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Metrics in Prometheus text format; also available if the ledger is not."""

        def collect() -> bytes:
            try:
                snapshot, costs = deps.ledger.metrics_snapshot(), deps.policy_costs()
            except DependencyUnavailable:
                clear_gauges(deps.metrics)
            else:
                update_gauges(deps.metrics, snapshot, deps.clock())
                update_policies(deps.metrics, costs)
            return generate_latest(deps.metrics.registry)

        return Response(await observing.run(collect), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    @router.post("/triggers", status_code=202, openapi_extra=body_of(Trigger, Alerts))
    def triggers(document: Document, caller: By) -> Response:
        """Submit causes in Homeostat's format, Alertmanager's or Grafana's; returns the decision on each."""
        causes, ignored = read_triggers(document, deps.clock(), caller, deps.mac)
        return json_response(
            {
                "causes": [_recorded(deps.controller.handle_cause(cause)) for cause in causes],
                "ignored": ignored,
            },
            202,
        )

    @router.get("/models/{model}/releases")
    def releases(model: str) -> Response:
        """The release log and the watches, oldest first, what a rollback restores if no canary runs, and who set the folder.

        A watch compares a release with the version before it, on the rows it answers. `rollback_target` is what a rollback
        without a target restores; while a canary runs, it withdraws the canary instead and restores nothing.
        """
        log = deps.store.releases(model)
        return json_response(
            {
                "model": model,
                "releases": [entry.model_dump(mode="json") for entry in log],
                "rollback_target": default_rollback_generation(log),
                "watches": [watch.to_json() for watch in deps.ledger.watches.of_model(model)],
                "project_folders": deps.ledger.project_folders(model),
            }
        )

    @router.post("/models/{model}/deployments", status_code=201, openapi_extra=body_of(Deployment))
    def deployments(model: str, document: Document, caller: By) -> Response:
        """Release a version that passes the gate against the live one, or with `force`, the reason to do without; 409 if refused.

        With `slot` canary or shadow it is served beside the live one, without a gate. The served version is not released again.
        `notes`: what to know, such as features whose type changes in the lake.
        """
        body = parse_model(Deployment, document)
        actor = caller.actor(body.actor)
        done = (
            deps.controller.deploy(model, body.version, body.project_directory, actor, body.force)
            if body.slot == "live"
            else deps.controller.start(model, body.slot, body.version, body.share, actor)
        )
        document = {
            "release": done.release.model_dump(mode="json"),
            "new": done.new,
            "notes": list(done.notes),
            "gate": done.gate,
        }
        return json_response(document, 201 if done.new else 200)

    @router.post("/models/{model}/rollback", status_code=201, openapi_extra=body_of(Rollback))
    def rollback(model: str, document: Document, caller: By) -> Response:
        """Withdraw the canary, or restore the previous version or that of a given generation.

        With `slot`, end that slot. 409 unless `expected_generation` is the newest.
        """
        body = parse_model(Rollback, document)
        release = deps.controller.rollback(
            model,
            caller.actor(body.actor),
            body.reason,
            body.to_generation,
            body.expected_generation,
            body.slot,
        )
        return json_response({"release": release.model_dump(mode="json")}, 201)

    @router.get("/runs")
    def runs(model: str = "", state: str = "", limit: Limit = 100) -> Response:
        """Runs with source, reason and actor of their causes and with their approvals, newest first, by model and state."""
        if state and state not in TRANSITIONS:
            raise InvalidRequest(
                f"{state} is not a run state", field="state", expected=", ".join(TRANSITIONS)
            )
        found = deps.ledger.runs(model, (state,) if state else (), limit)
        answers = deps.ledger.answers_of([run.run_id for run in found])
        return json_response(
            {"runs": [without_measures(describe_run(run, answers.get(run.run_id))) for run in found]}
        )

    @router.get("/runs/{run_id}")
    def run(run_id: str) -> Response:
        """One run: its state, gate result and approvals."""
        return described(deps.ledger.run(run_id))

    add_gate_routes(router, lambda: deps.ledger)
    add_policy_routes(router, deps)
    add_dead_letter_routes(router, deps, _recorded)
    add_delegation_routes(router, deps)
    add_step_routes(router, lambda: deps.ledger, lambda: deps.store, lambda: deps.runs)

    @router.post("/runs/{run_id}/approve", openapi_extra=body_of(Answer))
    def approve(run_id: str, document: Document, caller: By) -> Response:
        """Approve a run: start a suggested one, or promote one that passed the gate; 409 if it does not await approval.

        403 if the caller requested it, except with the scope admin. A caller without the scope needs a delegation from a person
        who has not requested the run.
        """
        actor = caller.actor(parse_model(Answer, document).actor)
        return described(deps.controller.approve(run_id, actor, authority_of(caller)))

    @router.post("/runs/{run_id}/reject", openapi_extra=body_of(Answer))
    def reject(run_id: str, document: Document, caller: By) -> Response:
        """Reject a run; 409 if it does not await approval. A delegation replaces the scope."""
        actor = caller.actor(parse_model(Answer, document).actor)
        return described(deps.controller.reject(run_id, actor, authority_of(caller)))

    @router.get("/decisions")
    def decisions(model: str = "", limit: Limit = 100) -> Response:
        """All decisions with their reasons, newest first, including those to wait; and unacknowledged ones in groups."""
        return json_response(
            {
                "decisions": deps.ledger.decisions(model, limit),
                "unacknowledged": deps.ledger.unacknowledged(model),
            }
        )

    @router.get("/decisions/open")
    def open_decisions() -> Response:
        """Keys of the causes that a person has still to decide on: decisions not acknowledged, and runs that have not ended."""
        return json_response({"causes": deps.ledger.open_causes()})

    @router.post("/causes/{key}/acknowledge", openapi_extra=body_of(Acknowledgement))
    def acknowledge(key: str, document: Document, caller: By) -> Response:
        """Record that a person has seen a decision, and optionally older ones; the first acknowledgement counts."""
        body = parse_model(Acknowledgement, document)
        older = BulkAcknowledgement(body.issue, body.expected_older) if body.and_older else None
        return json_response(deps.controller.acknowledge(key, caller.actor(body.actor), body.note, older))

    @router.get("/predictions/{prediction_id}/why")
    def prediction_why(prediction_id: str) -> Response:
        """Lineage from a prediction to the cause of the version that answered it."""
        return json_response(why_prediction(deps.ledger, deps.store, deps.lake, prediction_id))

    @router.get("/versions/{version}/why")
    def version_why(version: str) -> Response:
        """Lineage from a version to its cause, and its releases and number of predictions; accepts a prefix of 8 characters."""
        return json_response(why_version(deps.ledger, deps.store, deps.lake, version))

    @router.get("/runs/{run_id}/why")
    def run_why(run_id: str) -> Response:
        """Lineage from a run to its cause, and to the predictions of its version."""
        return json_response(why_run(deps.ledger, deps.store, deps.lake, run_id))

    @router.get("/causes/{key}/why")
    def cause_why(key: str) -> Response:
        """Lineage from a cause to its decision, run, version, releases and predictions, as far as they exist."""
        return json_response(why_cause(deps.ledger, deps.store, deps.lake, key))

    return router


def _recorded(recorded: Recorded) -> dict[str, Any]:
    return {
        "cause_key": recorded.cause_key,
        "action": recorded.decision.action,
        "reason_code": recorded.decision.reason_code,
        "reason": recorded.decision.reason,
        "run_id": recorded.run_id,
        "new": recorded.new,
    }
