"""What serves the canaries and shadows of a process, and how the status report shows them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry

from services.inference.models.metrics import ReleaseMetrics
from services.inference.models.servable import Servable
from services.inference.models.slot import Slots
from services.inference.prediction.predictor import Predictor
from services.inference.rollout.canary import CanaryAnswers
from services.inference.rollout.metrics import SlotMetrics
from services.inference.rollout.shadow import Shadows
from services.inference.rollout.side_releases import SIDES, SideLog, SideReleases
from shared.contracts.prediction_id import PredictionIds
from shared.contracts.release import Release


@dataclass(frozen=True)
class Rollout:
    """The parts; `status` describes canary and shadow of a model."""

    slots: Slots[Servable]
    metrics: SlotMetrics
    canaries: CanaryAnswers
    shadows: Shadows
    releases: SideReleases

    def status(self, model: str) -> list[dict[str, Any]]:
        """The canary and the shadow of a model that are served or cannot be loaded; the requests are those of this process."""
        problems = self.releases.problems(model)
        found = []
        for slot in SIDES:
            held = self.slots.sides.get(model, slot)
            if held is None and slot not in problems:
                continue
            counted = self.metrics.of(held, slot) if held else {"requests": {}, "mean_seconds": None}
            found.append(
                {
                    "slot": slot,
                    "version": held.version if held else "",
                    "generation": held.generation if held else 0,
                    "share": held.release.share if held else 0.0,
                    "last_error": problems.get(slot, ""),
                    **counted,
                }
            )
        return found


def make_rollout(
    slots: Slots[Servable],
    ids: PredictionIds,
    predictor: Predictor,
    log: SideLog,
    load: Callable[[Release], Servable],
    *,
    registry: CollectorRegistry,
    versions: ReleaseMetrics,
    on_loop: Callable[[Callable[[], bool]], bool],
    retry_seconds: float,
    load_live: Callable[[Release], Servable] | None,
) -> Rollout:
    """The parts, connected: the queue of model calls hands its answers to the shadows."""
    metrics = SlotMetrics(registry)
    metrics.watch(slots)
    versions.on_forget(metrics.forget)
    shadows = Shadows(slots, metrics)
    predictor.queue.on_handed_out(shadows.copy)
    releases = SideReleases(
        log,
        slots,
        load,
        metrics=metrics,
        versions=versions,
        on_loop=on_loop,
        retry_seconds=retry_seconds,
        clock=time.monotonic,
        load_live=load_live,
    )
    return Rollout(slots, metrics, CanaryAnswers(slots, ids, metrics), shadows, releases)
