"""Ends runs that have waited for a person's approval longer than `retraining.approval_timeout`."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from services.retraining.dependencies import Dependencies
from services.retraining.ledger.approvals.expiry import is_expired
from services.retraining.rollout.look_thread import LookThread
from services.retraining.run_states import WAITING
from shared.observability.logs import get_logger

PAUSE_SECONDS = 10.0
_MOST = 1000
_log = get_logger(__name__)


class ExpiryClock:
    """Finds and ends expired runs. Any number of processes may: a run ends once, in one transaction."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps

    def expired(self) -> list[str]:
        """Ids of the runs whose time is over. Raises DependencyUnavailable."""
        now = self._deps.clock()
        return [
            run.run_id for run in self._deps.ledger.runs(states=WAITING, limit=_MOST) if is_expired(run, now)
        ]

    def look(self, run_id: str) -> None:
        """End a run, unless somebody has answered meanwhile. Raises DependencyUnavailable."""
        ended = self._deps.ledger.end_expired(run_id, self._deps.clock())
        if ended is None:
            return
        self._deps.metrics.count_end(ended.model, ended.state, ended.created_at, ended.ended_at)
        _log.info("approval_expired", run_id=run_id, model=ended.model, reason=ended.reason)


def expiry_looks(deps: Dependencies, leads: Callable[[], bool], stop: Event) -> LookThread:
    """The thread that ends them. `leads`: whether this process is the leader."""
    clock = ExpiryClock(deps)
    return LookThread("approvals", clock.look, clock.expired, leads, stop, pause=PAUSE_SECONDS)
