"""The routes of verdicts that were set aside: list, replay and discard."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Request, Response

from services.retraining.cause import Cause
from services.retraining.ledger.records import Recorded
from services.retraining.triggers.dead_letters import VerdictDeadLetters
from services.retraining.triggers.verdict_record import RefusedRecord, read_verdict
from shared.access.caller import Caller
from shared.errors import Conflict, HomeostatError
from shared.http.access_check import caller_of
from shared.http.responses import json_response
from shared.messaging.record_mac import RecordMac
from shared.observability.logs import get_logger, log_unknown_error

_log = get_logger(__name__)


class Controller(Protocol):
    """Decides on causes."""

    def handle_cause(self, cause: Cause) -> Recorded: ...


class DeadLetterDependencies(Protocol):
    """What the routes need."""

    @property
    def controller(self) -> Controller: ...

    @property
    def dead_letters(self) -> VerdictDeadLetters: ...

    @property
    def mac(self) -> RecordMac: ...

    @property
    def clock(self) -> Callable[[], datetime]: ...


def _caller(request: Request) -> Caller:
    return caller_of(request.scope)


By = Annotated[Caller, Depends(_caller)]


def add_dead_letter_routes(
    router: APIRouter, deps: DeadLetterDependencies, described: Callable[[Recorded], dict[str, Any]]
) -> None:
    """All three; 404 for a dead letter that does not exist. `described`: a decision as JSON."""

    @router.get("/verdicts/dead-letters")
    def dead_letters() -> Response:
        """Verdicts whose handling failed or crashed the service repeatedly, newest first, with the reason."""
        return json_response({"dead_letters": [one.to_json() for one in deps.dead_letters.newest_first()]})

    @router.post("/verdicts/dead-letters/{letter}/replay")
    def replay(letter: str, caller: By) -> Response:
        """Handle a dead letter again, with all checks; returns the decision. If this fails, it is kept, and 409 says why.

        If handling it ended the process, it may do so again.
        """
        found = deps.dead_letters.read(letter)
        try:
            verdict = read_verdict(found.message, deps.mac, deps.clock())
            recorded = deps.controller.handle_cause(Cause.of_verdict(verdict))
        except RefusedRecord as error:
            raise Conflict(f"the verdict is {error.result}: {error.problem}") from error
        except HomeostatError:
            raise
        except Exception as error:
            problem = f"it failed again: the log of retraining has error {log_unknown_error(_log, error)}"
            raise Conflict(problem) from error
        deps.dead_letters.remove(letter)
        _log.info("dead_letter_replayed", id=letter, cause_id=recorded.cause_key, actor=caller.name)
        return json_response(described(recorded))

    @router.post("/verdicts/dead-letters/{letter}/discard")
    def discard(letter: str, caller: By) -> Response:
        """Delete a dead letter. The next window produces a new verdict."""
        found = deps.dead_letters.read(letter)
        deps.dead_letters.remove(letter)
        _log.info("dead_letter_discarded", id=letter, cause_id=found.verdict_id, actor=caller.name)
        return json_response({"discarded": letter})
