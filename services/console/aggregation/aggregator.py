"""Polls all services at once and combines their responses into a snapshot, which is kept for a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from services.console.aggregation.action_items import action_items_of
from services.console.aggregation.component_health import component_health
from services.console.aggregation.console_snapshot import ComponentHealth, ConsoleSnapshot, Model
from services.console.aggregation.endpoints import Endpoints
from services.console.aggregation.models import model_names, models_of, stale_of
from services.console.aggregation.poller import Poller, PollResults
from services.console.aggregation.requests import Requests
from services.console.aggregation.responses import Decisions, Run, Verdicts
from services.console.formatting import count
from services.console.metrics import ConsoleMetrics
from shared.contracts.release import Release

KEPT_S = 1.0
MAXIMUM_RELEASES = 30


class Aggregator:
    """Makes snapshots. `now` is for display; `ticks`, a monotonic clock in seconds, gives their age. For one event loop."""

    def __init__(
        self,
        poller: Poller,
        endpoints: Callable[[], Endpoints],
        now: Callable[[], datetime],
        ticks: Callable[[], float],
        metrics: ConsoleMetrics,
    ) -> None:
        self._poller = poller
        self._endpoints = endpoints
        self._now = now
        self._ticks = ticks
        self._metrics = metrics
        self._snapshot: ConsoleSnapshot | None = None
        self._made_at = 0.0
        self._lock = asyncio.Lock()
        # Since when each component is not up.
        self._since: dict[str, datetime] = {}

    async def snapshot(self) -> ConsoleSnapshot:
        """The snapshot, at most a second old."""
        async with self._lock:
            if self._snapshot is None or self._ticks() - self._made_at >= KEPT_S:
                with self._metrics.snapshot_seconds.time():
                    self._snapshot = await self._poll()
                self._made_at = self._ticks()
            return self._snapshot

    async def is_delegate(self, name: str) -> bool:
        """Whether somebody lets `name` approve in their place now, as retraining says, which decides itself."""
        return bool((await self.snapshot()).delegations_to(name))

    def invalidate(self) -> None:
        """Poll again for the next snapshot: a person has just changed something."""
        self._snapshot = None

    async def _poll(self) -> ConsoleSnapshot:
        endpoints = self._endpoints()
        requests = Requests(endpoints)
        started = self._ticks()
        results = await self._poller.poll(requests)
        requests.add_models(model_names(requests, results))
        results |= await self._poller.poll(requests.of_models(), self._ticks() - started)
        self._poller.keep_only(requests)
        return self._combine(endpoints, requests, results)

    def _combine(self, endpoints: Endpoints, requests: Requests, results: PollResults) -> ConsoleSnapshot:
        now = self._now()
        verdicts, decisions = results[requests.verdicts], results[requests.decisions]
        runs = _runs(requests, results)
        models = models_of(requests, results)
        components = tuple(
            self._with_history(component, endpoints, now)
            for component in component_health(endpoints, requests, results)
        )
        listed = decisions.body or Decisions()
        retraining = results[requests.retraining].body
        return ConsoleSnapshot(
            at=now,
            components=components,
            models=models,
            verdicts=(verdicts.body or Verdicts()).verdicts,
            decisions=listed.decisions,
            runs=runs,
            releases=_newest_releases(models),
            delegations=retraining.delegations if retraining else (),
            action_items=action_items_of(components, models, runs, listed.unacknowledged, now),
            stale=stale_of(
                {
                    "verdicts": [verdicts],
                    "decisions": [decisions],
                    "runs": [results[request] for request in requests.runs],
                    "releases": [results[request] for request in requests.releases.values()],
                }
            ),
        )

    def _with_history(
        self, component: ComponentHealth, endpoints: Endpoints, now: datetime
    ) -> ComponentHealth:
        """The component with the time since when it is not up, its log file and its number of restarts."""
        if component.condition == "up":
            self._since.pop(component.name, None)
        else:
            self._since.setdefault(component.name, component.since or now)
            log = endpoints.log(component.name)
            if log and component.is_core and component.condition != "refused":
                component = replace(component, hint=f"read {log}; `homeostat status` shows every process")
        restarts = endpoints.restarts_of(component.name)
        if restarts:
            details = (*component.details, ("restarted", count(restarts, "time")))
            component = replace(component, details=details)
        return replace(component, since=self._since.get(component.name))


def _runs(requests: Requests, results: PollResults) -> tuple[Run, ...]:
    """The runs of all responses, each once, newest first."""
    bodies = [results[request].body for request in requests.runs]
    runs = {run.run_id: run for body in bodies if body for run in body.runs}
    return tuple(sorted(runs.values(), key=lambda run: (run.created_at, run.run_id), reverse=True))


def _newest_releases(models: tuple[Model, ...]) -> tuple[Release, ...]:
    releases = [release for model in models for release in model.releases]
    releases.sort(key=lambda release: (release.released_at, release.generation), reverse=True)
    return tuple(releases[:MAXIMUM_RELEASES])
