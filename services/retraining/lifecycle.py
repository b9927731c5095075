"""Starts and stops the background threads of retraining, and says what they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from threading import Event
from typing import Any

from services.retraining.controller import Controller
from services.retraining.dependencies import Dependencies
from services.retraining.histories import Histories
from services.retraining.rollout.baseline_watch import BaselineWatch
from services.retraining.rollout.look_thread import LookThread
from services.retraining.run_states import PHASES, WORKING
from services.retraining.runs.scheduler import RunScheduler
from services.retraining.shadow_policies import ShadowPolicies
from services.retraining.tracking.outbox_relay import OutboxRelay
from services.retraining.triggers.verdict_consumer import VerdictConsumer
from shared.errors import HomeostatError
from shared.observability.logs import get_logger

_log = get_logger(__name__)

# Seconds given to queued annotations at shutdown.
_ANNOTATION_SECONDS = 1.0
_NOT_COMPARED = {"baseline_loss": None, "served_loss": None, "metric": "", "window": None, "rows": 0}


class Lifecycle:
    """Starts background threads in order of dependency and stops them in reverse order."""

    def __init__(
        self,
        deps: Dependencies,
        controller: Controller,
        scheduler: RunScheduler,
        verdict_consumer: VerdictConsumer | None,
        relay: OutboxRelay | None,
        watch: BaselineWatch,
        looks: Sequence[LookThread],
        stop: Event,
    ) -> None:
        self._annotator = deps.annotator
        self._clock = deps.clock
        self._controller = controller
        self._scheduler = scheduler
        self._consumer = verdict_consumer
        self._relay = relay
        self._watch = watch
        self._looks = looks
        self._ledger = deps.ledger
        self._shadows = ShadowPolicies(deps, Histories(deps))
        self._stop = stop

    def start(self) -> None:
        """Start: the releases are copied to the ledger first."""
        try:
            self._controller.sync_releases()
        except HomeostatError as error:
            _log.warning("release_sync_failed", problem=str(error))
        self._scheduler.start()
        if self._consumer is not None:
            self._consumer.start()
        if self._relay is not None:
            self._relay.start()
        self._watch.start()
        for looks in self._looks:
            looks.start()

    def stop(self) -> None:
        """Stop. Steps that do not end soon are lost, as after a crash."""
        self._stop.set()
        self._watch.wake()
        if self._consumer is not None:
            self._consumer.join()
        self._scheduler.stop()
        self._annotator.close(_ANNOTATION_SECONDS)
        self._ledger.close()

    def is_ready(self) -> bool:
        """Whether this process can work."""
        return not self._stop.is_set()

    def status(self) -> dict[str, Any]:
        """The body of `/status`."""
        now = self._clock()
        runs = self._ledger.runs(states=(*WORKING, *PHASES))
        found = self._watch.comparisons()
        phases = {one.model: one.to_json() for one in self._ledger.phases.newest()}
        improvements = {one.model: one.improvements for one in self._ledger.first_comparisons.current()}
        watches = {one.model: one.to_json() for one in self._ledger.watches.newest()}
        listening = (
            "off"
            if self._consumer is None
            else ("connected" if self._consumer.connected else "waiting for Kafka")
        )
        return {
            "ready": self.is_ready(),
            "is_leader": self._scheduler.leading,
            "leader": self._scheduler.holder(),
            "verdicts": listening,
            "mlflow": "off" if self._relay is None else (self._relay.problem or "connected"),
            "mlflow_pending_entries": self._ledger.unsent_count(),
            "delegations": [one.to_json(now) for one in self._ledger.delegations.active(now)],
            "active_runs": [{"run_id": run.run_id, "model": run.model, "state": run.state} for run in runs],
            "models": [
                {
                    "model": model,
                    **(found[model].to_json() if model in found else _NOT_COMPARED),
                    "improvable": [one.to_json() for one in improvements.get(model, ())],
                    "watch": watches.get(model),
                    "phase": phases.get(model),
                    "policies": [{**asdict(one), "total": one.total} for one in self._shadows.costs(model)],
                }
                for model in self._ledger.models()
            ],
        }
