"""The status report of a server."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from services.inference.metrics import InferenceMetrics
from services.inference.models.release_watcher import ReleaseWatcher
from services.inference.models.servable import Servable
from services.inference.models.slot import Slots
from services.inference.prediction.recorder import Spool
from services.inference.status.messages import find_messages
from services.inference.workers.peers import Alone, Peers

_OUTCOMES = ("answered", "refused", "failed")


class Status:
    """Collects the data of `/status` and of the readiness routes."""

    def __init__(
        self,
        slots: Slots[Servable],
        watcher: ReleaseWatcher,
        spool: Spool,
        metrics: InferenceMetrics,
        *,
        device: str,
        device_reason: str,
        worker: int = 1,
        maximum_in_flight: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`worker`: the number of this process; `maximum_in_flight`: its limit of concurrent requests."""
        self._slots = slots
        self._watcher = watcher
        self._spool = spool
        self._metrics = metrics
        self._device = device
        self._device_reason = device_reason
        self._worker = worker
        self._maximum_in_flight = maximum_in_flight
        self._peers: Peers = Alone(metrics.registry, self.of_this_process)
        self._clock = clock
        self._started_at = datetime.fromtimestamp(clock(), UTC)

    def watch_peers(self, peers: Peers) -> None:
        """Set the processes of this server."""
        self._peers = peers

    def ready(self) -> bool:
        """Whether at least one model is live, in every process of this server."""
        return self._peers.ready()

    def of_this_process(self) -> dict[str, Any]:
        """The entry of this process among the workers."""
        counts = self._metrics.requests_by_outcome().values()
        return {
            "worker": self._worker,
            "pid": os.getpid(),
            "ready": bool(self._slots.current()),
            "started_at": self._started_at.isoformat(),
            "device": self._device,
            "writer": self._spool.writer,
            "models": [
                {
                    "name": servable.model,
                    "version": servable.version,
                    "generation": servable.generation,
                    "in_flight": servable.in_flight,
                }
                for servable in self._slots.current()
            ],
            **{outcome: sum(count[outcome] for count in counts) for outcome in _OUTCOMES},
            "in_flight": self._metrics.in_flight,
            "maximum_in_flight": self._maximum_in_flight,
        }

    def report(self) -> dict[str, Any]:
        """The report as JSON data; times are ISO 8601 in UTC, empty if there is none.

        All of it is of the process that answers, except `ready` and `workers`.
        """
        now = self._clock()
        report: dict[str, Any] = {
            "service": "inference",
            "ready": self.ready(),
            "at": _iso(now),
            "started_at": self._started_at.isoformat(),
            "device": self._device,
            "device_reason": self._device_reason,
            "models": self._models(now),
            "requests": self._requests(now),
            "release_log": self._release_log(),
            "writer": self._spool.writer,
            "epoch": self._spool.epoch,
            "spool": self._spool_status(),
            "worker": self._worker,
            "workers": self._peers.statuses(),
        }
        return report | {"messages": find_messages(report)}

    def _models(self, now: float) -> list[dict[str, Any]]:
        served = self._slots.current()
        models = [
            {
                "name": servable.model,
                "version": servable.version,
                "generation": servable.generation,
                "device": servable.device,
                "since": servable.loaded_at.isoformat(),
                "released_by": servable.release.actor,
                "reason": servable.release.reason,
                "in_flight": servable.in_flight,
            }
            for servable in served
        ]
        models += [
            {
                "name": model,
                "version": "",
                "generation": 0,
                "device": "",
                "since": "",
                "released_by": "",
                "reason": "",
                "in_flight": 0,
            }
            for model in self._watcher.failing()
            if self._slots.peek(model) is None
        ]
        counts = self._metrics.requests_by_outcome()
        last = self._metrics.last_predictions()
        for model in models:
            name = str(model["name"])
            of_model = counts.get(name, Counter[str]())
            model["last_error"] = self._watcher.problem(name)
            model["requests"] = {outcome: of_model.get(outcome, 0) for outcome in _OUTCOMES}
            model |= _last_prediction(last.get(name), now)
        return models

    def _requests(self, now: float) -> dict[str, Any]:
        """Over all models, including requests that named no model."""
        counts = self._metrics.requests_by_outcome().values()
        last = max(self._metrics.last_predictions().values(), default=None)
        return {
            **{outcome: sum(count[outcome] for count in counts) for outcome in _OUTCOMES},
            "in_flight": self._metrics.in_flight,
            "calls_queued": self._metrics.calls_queued(),
            "errors": self._metrics.errors_by_status(),
            **_last_prediction(last, now),
        }

    def _release_log(self) -> dict[str, Any]:
        age = self._watcher.seconds_since_read()
        return {
            "last_error": self._watcher.store_problem,
            "seconds_since_read": None if age is None else round(age, 3),
            "models": sorted(self._watcher.known_models()),
            "followed": sorted(self._watcher.followed_models()),
        }

    def _spool_status(self) -> dict[str, Any]:
        statistics = self._spool.statistics()
        return {
            "bytes": statistics.bytes,
            "bound": statistics.bound,
            "appended": _by_kind(statistics.appended),
            "dropped": _by_kind(statistics.dropped),
            "last_error": statistics.last_error,
        }


def _last_prediction(at: float | None, now: float) -> dict[str, Any]:
    return {
        "last_prediction_at": "" if at is None else _iso(at),
        "seconds_since_prediction": None if at is None else round(max(0.0, now - at), 3),
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _by_kind(counts: Any) -> dict[str, dict[str, int]]:
    result: dict[str, dict[str, int]] = {}
    for (kind, model), count in counts.items():
        result.setdefault(str(kind), {})[model] = count
    return result
