"""The routes about delegations of approvals: giving, listing and revoking one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Query, Request, Response

from services.retraining.http.document import Document
from services.retraining.http.request_bodies import NewDelegation, Revocation
from services.retraining.ledger.ledger import Ledger
from shared.access.authenticator import Authenticator
from shared.access.caller import TOKEN_PREFIX, Caller
from shared.access.scope import Scope
from shared.http.access_check import caller_of
from shared.http.json_body import described as body_of
from shared.http.json_body import parse_model
from shared.http.responses import json_response
from shared.observability.logs import get_logger

_log = get_logger(__name__)


class DelegationDependencies(Protocol):
    """What the routes need."""

    @property
    def ledger(self) -> Ledger: ...

    @property
    def authenticator(self) -> Authenticator: ...

    @property
    def clock(self) -> Callable[[], datetime]: ...


def _caller(request: Request) -> Caller:
    return caller_of(request.scope)


By = Annotated[Caller, Depends(_caller)]


def add_delegation_routes(router: APIRouter, deps: DelegationDependencies) -> None:
    """All three. Who approves by a delegation cannot delegate: these routes need the scope itself."""

    @router.post("/delegations", status_code=201, openapi_extra=body_of(NewDelegation))
    def delegate(document: Document, caller: By) -> Response:
        """Let another person or program approve and reject runs in your place, until a given time, for one model or all.

        It ends early when you lose the scope. `notes`: what to know, such as that no API key has the delegate's name.
        """
        body = parse_model(NewDelegation, document)
        given = deps.ledger.delegations.create(
            caller.actor(body.actor),
            body.delegate,
            model=body.model,
            note=body.note,
            now=deps.clock(),
            ends_at=body.until,
        )
        _log.info(
            "approvals_delegated",
            delegation=given.id,
            actor=given.delegator,
            delegate=given.delegate,
            model=given.model or "(all)",
            ends_at=given.ends_at.isoformat(),
        )
        notes = _notes(given.delegate, deps.authenticator)
        return json_response({"delegation": given.to_json(deps.clock()), "notes": notes}, 201)

    @router.get("/delegations")
    def delegations(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
        """Delegations of approvals, newest first, including those that have ended."""
        now = deps.clock()
        return json_response(
            {"delegations": [one.to_json(now) for one in deps.ledger.delegations.newest(limit)]}
        )

    @router.post("/delegations/{number}/revoke", openapi_extra=body_of(Revocation))
    def revoke(number: int, document: Document, caller: By) -> Response:
        """End a delegation now; the first revocation counts. 403 unless the caller created it or has the scope admin."""
        actor = caller.actor(parse_model(Revocation, document).actor)
        ended = deps.ledger.delegations.revoke(
            number, actor, now=deps.clock(), may_be_others=Scope.ADMIN in caller.scopes
        )
        _log.info("delegation_revoked", delegation=number, actor=actor, delegate=ended.delegate)
        return json_response({"delegation": ended.to_json(deps.clock())})


def _notes(delegate: str, authenticator: Authenticator) -> list[str]:
    """What keeps the delegate from using it, as far as is known here."""
    if delegate.startswith(TOKEN_PREFIX):
        return [] if authenticator.tokens else ["no identity provider is set: tokens are not accepted"]
    if authenticator.has_key(delegate):
        return []
    return [f"no API key is named {delegate}, and names of tokens begin with {TOKEN_PREFIX}"]
