"""The routes that explain the policy: why nothing started, and what another policy would have decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Query, Response

from services.retraining.histories import Histories
from services.retraining.http.document import Document
from services.retraining.http.request_bodies import PolicyBody
from services.retraining.http.why_not import why_not
from services.retraining.ledger.ledger import Ledger
from services.retraining.policy.what_if import WhatIfDecision, what_if
from shared.contracts.policies.policy_document import with_policy
from shared.errors import InvalidRequest, NotFound, ProjectError
from shared.http.json_body import described as body_of
from shared.http.json_body import parse_model
from shared.http.own_threads import OwnThreads
from shared.http.responses import json_response
from shared.stores.lake import Lake
from shared.stores.model_store import ModelStore

Limit = Annotated[int, Query(ge=1, le=10_000)]
DECIDING_THREADS = 1
DECIDING_WAIT_SECONDS = 5.0


class PolicyDependencies(Protocol):
    """What the routes need."""

    @property
    def ledger(self) -> Ledger: ...

    @property
    def store(self) -> ModelStore: ...

    @property
    def lake(self) -> Lake: ...

    @property
    def histories(self) -> Histories: ...


def add_policy_routes(router: APIRouter, deps: PolicyDependencies) -> None:
    """Both routes; 404 for a model that was never deployed.

    What-if needs the scope `read`: it records nothing. It computes, so all such requests share one thread.
    """
    deciding = OwnThreads(DECIDING_THREADS, DECIDING_WAIT_SECONDS)

    @router.get("/models/{model}/why-not")
    def why_not_started(model: str) -> Response:
        """Why no run starts now, and why the newest was not promoted: triggers with their distance, limits, and missing rows."""
        return json_response(why_not(deps.ledger, deps.store, deps.lake, deps.histories, model))

    @router.post("/models/{model}/what-if", openapi_extra=body_of(PolicyBody))
    async def what_if_armed(model: str, document: Document, limit: Limit = 10_000) -> Response:
        """What a policy (keys of `retraining`) would have decided on the newest `limit` verdicts. Nothing is trained."""
        given = parse_model(PolicyBody, document)
        return await deciding.run(lambda: decided_on(model, given, limit))

    def decided_on(model: str, given: PolicyBody, limit: int) -> Response:
        found = deps.histories.served_model(model)
        if found is None:
            raise NotFound(f"model {model} has not been deployed", hint="run `homeostat deploy`")
        try:
            found.loop.require_performance()
            loop = with_policy(found.loop, given.model_dump(exclude_unset=True), "the policy")
        except ProjectError as error:
            raise InvalidRequest(error.message, field="retraining", expected=error.hint) from error
        logged = deps.ledger.verdict_log.decided(model, limit)
        trained_at = _trained_at(deps, model, logged[0].verdict.version) if logged else None
        decided = what_if(loop, logged, trained_at)
        return json_response(
            {"model": model, **_counted(decided), "decisions": [_shown(one) for one in decided]}
        )


def _trained_at(deps: PolicyDependencies, model: str, version: str) -> datetime | None:
    """When a version was trained; of one that was deleted, and that no run has trained, the start of its first window."""
    try:
        return deps.histories.trained_at(model, version)
    except NotFound:
        return deps.ledger.first_window(model, version)


def _counted(decided: Sequence[WhatIfDecision]) -> dict[str, Any]:
    return {
        "verdicts": len(decided),
        "runs": sum(one.decision.action == "retrain" for one in decided),
        "logged_runs": sum(one.logged.action == "retrain" for one in decided),
        "reasons": dict(Counter(one.decision.reason_code for one in decided).most_common()),
    }


def _shown(one: WhatIfDecision) -> dict[str, Any]:
    verdict = one.logged.verdict
    return {
        "verdict_id": verdict.verdict_id,
        "detector": verdict.detector,
        "state": verdict.state,
        "window_end": verdict.window_end,
        "action": one.decision.action,
        "reason_code": one.decision.reason_code,
        "reason": one.decision.reason,
        "logged_action": one.logged.action,
        "logged_reason_code": one.logged.reason_code,
    }
