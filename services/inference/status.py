"""What this server says about itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from services.inference.recorder import Spool
from services.inference.servable import Servable
from services.inference.slot import Slots
from services.inference.watcher import Watcher


class Status:
    """Collects the facts for `/status` and the readiness doors."""

    def __init__(
        self, slots: Slots[Servable], watcher: Watcher, spool: Spool, *, device: str, device_reason: str
    ) -> None:
        self._slots = slots
        self._watcher = watcher
        self._spool = spool
        self._device = device
        self._device_reason = device_reason
        self._started_at = datetime.now(UTC)

    def ready(self) -> bool:
        """Whether at least one model is served."""
        return bool(self._slots.current())

    def report(self) -> dict[str, Any]:
        """Everything, as JSON would have it."""
        statistics = self._spool.statistics()
        age = self._watcher.seconds_since_read()
        served = self._slots.current()
        unserved = [model for model in self._watcher.failing() if self._slots.peek(model) is None]
        return {
            "service": "inference",
            "ready": self.ready(),
            "started_at": self._started_at.isoformat(),
            "device": self._device,
            "device_reason": self._device_reason,
            "models": [
                {
                    "name": servable.model,
                    "version": servable.version,
                    "generation": servable.generation,
                    "device": servable.device,
                    "since": servable.loaded_at.isoformat(),
                    "released_by": servable.release.actor,
                    "reason": servable.release.reason,
                    "in_flight": servable.in_flight,
                    "last_error": self._watcher.problem(servable.model),
                }
                for servable in served
            ]
            + [
                {
                    "name": model,
                    "version": "",
                    "generation": 0,
                    "device": "",
                    "since": "",
                    "released_by": "",
                    "reason": "",
                    "in_flight": 0,
                    "last_error": self._watcher.problem(model),
                }
                for model in unserved
            ],
            "release_log": {
                "last_error": self._watcher.store_problem,
                "seconds_since_read": None if age is None else round(age, 3),
            },
            "writer": self._spool.writer,
            "epoch": self._spool.epoch,
            "spool": {
                "bytes": statistics.bytes,
                "bound": statistics.bound,
                "appended": _by_kind(statistics.appended),
                "dropped": _by_kind(statistics.dropped),
                "last_error": statistics.last_error,
            },
        }


def _by_kind(counts: Any) -> dict[str, dict[str, int]]:
    result: dict[str, dict[str, int]] = {}
    for (kind, model), count in counts.items():
        result.setdefault(str(kind), {})[model] = count
    return result
