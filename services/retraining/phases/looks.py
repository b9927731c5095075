"""Makes the threads that look at released versions and at the phases of runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Event

from services.retraining.cause import Cause
from services.retraining.dependencies import Dependencies
from services.retraining.isolated_models import IsolatedModels
from services.retraining.ledger.records import Recorded
from services.retraining.phases.inference_servers import InferenceServers, server_urls
from services.retraining.phases.phase_end import PhaseEnd
from services.retraining.phases.phase_guard import PhaseGuard
from services.retraining.phases.phase_quality import PhaseQuality
from services.retraining.rollout.first_version_watch import FirstVersionWatch
from services.retraining.rollout.look_thread import LookThread
from services.retraining.rollout.release_watch import ReleaseWatch
from services.retraining.runs.scheduler import RunScheduler
from shared.access.client_key import find_client_key

# A model that does not answer takes no longer from the looks at others.
_MODEL_SECONDS = 120.0
_LONGEST_GUARD_PAUSE = 5.0
# A challenger takes longer to be loaded than this.
_IDLE_GUARD_PAUSE = 3.0


def make_looks(
    deps: Dependencies,
    verify: Callable[[str, str], None],
    scheduler: RunScheduler,
    on_cause: Callable[[Cause], Recorded],
    stop: Event,
    home: Path,
) -> tuple[LookThread, ...]:
    """The threads: releases and the quality of phases rarely and at low priority, the guard of phases often."""
    settings, ledger, releaser = deps.settings, deps.ledger, deps.releaser
    models = IsolatedModels(
        seconds=min(settings.model_seconds, _MODEL_SECONDS),
        memory_bytes=settings.model_memory_bytes,
        is_stopped=stop.is_set,
    )
    releases = ReleaseWatch(
        deps.store,
        deps.lake,
        deps.keys,
        ledger.watches,
        releaser,
        deps.metrics,
        deps.clock,
        open_model=models.open,
        verify=verify,
    )
    first = FirstVersionWatch(deps.store, deps.lake, deps.keys, ledger, on_cause, open_model=models.open)
    end = PhaseEnd(ledger, releaser, deps.metrics, deps.clock, scheduler.wake)
    servers = InferenceServers(
        server_urls(settings.inference_urls), lambda: find_client_key(home, os.environ)
    )
    guard = PhaseGuard(ledger, deps.store, releaser, end, servers.read, deps.clock, verify=verify)
    quality = PhaseQuality(ledger, deps.store, deps.lake, deps.keys, end, deps.clock, open_model=models.open)

    def looks(
        name: str, look: Callable[[str], object], names: Callable[[], list[str]], **how: float
    ) -> LookThread:
        return LookThread(name, look, names, lambda: scheduler.leading, stop, **how)  # type: ignore[arg-type]

    return (
        looks("watch", releases.look, ledger.models, pause=settings.watch_seconds),
        looks("first_version", first.look, ledger.models, pause=settings.watch_seconds),
        looks("quality", quality.look, ledger.runs_in_phases, pause=settings.watch_seconds),
        looks(
            "guard",
            guard.look,
            ledger.runs_in_phases,
            pause=settings.guard_seconds,
            longest_pause=_LONGEST_GUARD_PAUSE,
            idle_pause=_IDLE_GUARD_PAUSE,
            niceness=0,
        ),
    )
