"""The status report of a server."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from services.inference.draining_server import Drain
from services.inference.metrics import InferenceMetrics
from services.inference.models.release_log_poller import ReleaseLogPoller
from services.inference.models.servable import Servable
from services.inference.on_demand.metrics import OnDemandMetrics
from services.inference.on_demand.model_pool import ModelPool
from services.inference.prediction.metrics import CallEstimateMetrics
from services.inference.prediction.recorder import Spool
from services.inference.status.messages import find_messages
from services.inference.workers.peers import Alone, Peers
from shared.contracts.release import Release

_OUTCOMES = ("answered", "refused", "failed")


class Status:
    """Collects the data of `/status` and of the readiness routes."""

    def __init__(
        self,
        pool: ModelPool,
        poller: ReleaseLogPoller,
        spool: Spool,
        metrics: InferenceMetrics,
        on_demand: OnDemandMetrics,
        estimates: CallEstimateMetrics,
        *,
        device: str,
        device_reason: str,
        side_slots: Callable[[str], list[dict[str, Any]]] = lambda model: [],
        worker: int = 1,
        drain: Drain | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`side_slots`: describes canary and shadow of a model; `worker`: the number of this process; `drain`: its end."""
        self._pool = pool
        self._slots = pool.slots
        self._poller = poller
        self._spool = spool
        self._metrics = metrics
        self._on_demand = on_demand
        self._estimates = estimates
        self._side_slots = side_slots
        self._device = device
        self._device_reason = device_reason
        self._worker = worker
        self._drain = drain or Drain(0)
        self._peers: Peers = Alone(metrics.registry, self.of_this_process)
        self._clock = clock
        self._started_at = datetime.fromtimestamp(clock(), UTC)

    def watch_peers(self, peers: Peers) -> None:
        """Set the processes of this server."""
        self._peers = peers

    def ready(self) -> bool:
        """Whether every process of this server has tried to load each released model, has at least one, and is not ending."""
        return self._peers.ready()

    def of_this_process(self) -> dict[str, Any]:
        """The entry of this process among the workers."""
        counts = self._metrics.requests_by_outcome().values()
        return {
            "worker": self._worker,
            "pid": os.getpid(),
            "ready": self._is_ready(),
            "started_at": self._started_at.isoformat(),
            "device": self._device,
            "writer": self._spool.writer,
            "models": [
                {
                    "name": release.model,
                    "version": release.version,
                    "generation": release.generation,
                    "loaded": servable is not None,
                    "in_flight": servable.in_flight if servable else 0,
                }
                for release, servable in self._live()
            ],
            "release_errors": {model: self._poller.problem(model) for model in self._poller.failing()},
            **{outcome: sum(count[outcome] for count in counts) for outcome in _OUTCOMES},
            "in_flight": self._metrics.in_flight,
            "maximum_in_flight": self._metrics.maximum_in_flight,
        }

    def _is_ready(self) -> bool:
        # An unloaded model is served too, if it could be loaded before.
        serves = any(map(self._slots.description, self._slots.names()))
        return serves and self._poller.has_polled and not self._drain.begun

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
            "model_memory": self._model_memory(),
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
        models: list[dict[str, Any]] = [
            {
                "name": release.model,
                "version": release.version,
                "generation": release.generation,
                "loaded": servable is not None,
                "memory_bytes": servable.memory_bytes if servable else 0,
                "device": servable.device if servable else "",
                "precision": servable.form.precision if servable else "",
                "runtime": servable.runtime if servable else "",
                "precision_difference": servable.difference if servable else None,
                "since": servable.loaded_at.isoformat() if servable else "",
                "released_by": release.actor,
                "reason": release.reason,
                "in_flight": servable.in_flight if servable else 0,
                "calls": self._estimates.of(servable) if servable else None,
            }
            for release, servable in self._live()
        ]
        models += [
            {
                "name": model,
                "version": "",
                "generation": 0,
                "loaded": False,
                "memory_bytes": 0,
                "device": "",
                "precision": "",
                "runtime": "",
                "precision_difference": None,
                "since": "",
                "released_by": "",
                "reason": "",
                "in_flight": 0,
                "calls": None,
            }
            for model in self._poller.failing()
            if self._slots.live_release(model) is None
        ]
        counts = self._metrics.requests_by_outcome()
        last = self._metrics.last_predictions()
        for model in models:
            name = str(model["name"])
            of_model = counts.get(name, Counter[str]())
            of_release = self._poller.problem(name)
            model["demand_load_error"] = "" if of_release else self._pool.problem(name)
            model["last_error"] = of_release or model["demand_load_error"]
            model["sides"] = self._side_slots(name)
            model["requests"] = {outcome: of_model.get(outcome, 0) for outcome in _OUTCOMES}
            model |= _last_prediction(last.get(name), now)
        return models

    def _live(self) -> Iterator[tuple[Release, Servable | None]]:
        """The live release of each model, and its servable where it is in memory."""
        for name in self._slots.names():
            release = self._slots.live_release(name)
            if release is not None:
                yield release, self._slots.peek(name)

    def _model_memory(self) -> dict[str, Any]:
        """Models in memory and not; what they take is measured only where `bound_bytes` is set."""
        loaded = self._slots.current()
        loads, seconds = self._on_demand.last_minute()
        return {
            "bound_bytes": self._on_demand.bound_bytes,
            "bytes": sum(servable.memory_bytes for servable in self._slots.in_memory()),
            "loaded": len(loaded),
            "unloaded": len(self._slots.all_unloaded()),
            "demand_loads": self._on_demand.totals(),
            "loads_last_minute": loads,
            "load_seconds_last_minute": round(seconds, 3),
        }

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
        age = self._poller.seconds_since_read()
        return {
            "last_error": self._poller.store_problem,
            "seconds_since_read": None if age is None else round(age, 3),
            "models": sorted(self._poller.known_models()),
            "followed": sorted(self._poller.followed_models()),
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
