"""Counts the starts of a run's steps: a step that ends the service again and again must not be repeated for ever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.records import Run
from shared.errors import HomeostatError
from shared.models.training.training_process import Interrupted
from shared.observability.logs import get_logger

_log = get_logger(__name__)


@contextmanager
def counted_start(ledger: Ledger, run_id: str) -> Iterator[Run]:
    """Count a start of the run's step; the run, whose `step_starts` includes it.

    A step that ends changes the run's state, which resets the count. One that is left otherwise while the service lives is not
    counted. Only the death of the service leaves a start in the ledger.
    """
    run = ledger.begin_step(run_id)
    try:
        yield run
    except (Exception, Interrupted):
        take_back(ledger, run_id)
        raise


def take_back(ledger: Ledger, run_id: str) -> None:
    """Do not count the last start. Without a ledger it stays counted: one too many, and none too few."""
    try:
        ledger.leave_step(run_id)
    except HomeostatError as error:
        _log.warning("step_start_not_taken_back", run_id=run_id, problem=str(error))


def given_up(step: str, starts: int) -> str:
    """The reason of a run whose step was started `starts` times."""
    died = f"the service died {starts} times in the step {step} of this run, so the step is not started again"
    hint = "check the log and the memory of the service at these times, then request a new run"
    return f"{died} ({hint})"
