"""One look at everything: asks all services at once, and makes a snapshot of what they said.

The snapshot is kept for a second, and one look serves everyone who asks meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

from services.console.aggregation.action_items import action_items_of
from services.console.aggregation.component_health import (
    drift_part,
    inference_part,
    kafka_part,
    retraining_part,
    shipper_part,
    sink_part,
    watching_part,
)
from services.console.aggregation.endpoints import Endpoints
from services.console.aggregation.models import (
    IN_LAKE,
    PREDICTED,
    RECENT,
    ServiceReports,
    model_names,
    models_of,
    stale_of,
)
from services.console.aggregation.parsers import (
    decisions_of,
    releases_of,
    runs_of,
    unacknowledged_of,
    verdicts_of,
)
from services.console.aggregation.poller import Poller, PollRequest, PollResult
from services.console.aggregation.prometheus_samples import Samples
from services.console.aggregation.view_models import ComponentHealth, Release, Snapshot
from services.console.formatting import count
from services.console.metrics import ConsoleMetrics

KEPT_S = 1.0
VERDICTS, DECISIONS, RUNS, RELEASES = 50, 100, 30, 30  # of all models together
WAITING = ("suggested", "waiting_for_approval")
WANTED = frozenset(
    {
        PREDICTED,
        IN_LAKE,
        "homeostat_shipper_backlog_bytes",
        "homeostat_shipper_oldest_row_age_seconds",
        "homeostat_shipper_spool_dropped_rows",
        "homeostat_sink_lag_records",
        "homeostat_sink_missing_rows_total",
        "homeostat_sink_dead_letters_total",
    }
)


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
        self._snapshot: Snapshot | None = None
        self._looked_at = 0.0
        self._looking = asyncio.Lock()
        # Since when a part is not up; forgotten once it is.
        self._since: dict[str, datetime] = {}

    async def snapshot(self) -> Snapshot:
        """The snapshot, at most a second old."""
        async with self._looking:
            if self._snapshot is None or self._ticks() - self._looked_at >= KEPT_S:
                self._snapshot = await self._look()
                self._looked_at = self._ticks()
            return self._snapshot

    def forget(self) -> None:
        """Look anew at the next poll: something was just done."""
        self._snapshot = None

    async def _look(self) -> Snapshot:
        with self._metrics.snapshot_seconds.time():
            return await self._poll()

    async def _poll(self) -> Snapshot:
        endpoints = self._endpoints()
        requests = _PollRequests(endpoints)
        began = self._ticks()
        results = await self._poller.poll(requests.all)
        spoken = [
            results[poll].body for poll in (*requests.servers.values(), requests.drift, requests.retraining)
        ]
        names = model_names(*spoken)
        logs, recent = requests.logs(names), requests.recent(names)
        results |= await self._poller.poll([*logs.values(), *recent.values()], self._ticks() - began)
        self._poller.keep_only([*requests.all, *logs.values(), *recent.values()])
        return self._draw(endpoints, requests, logs, recent, results)

    def _draw(
        self,
        endpoints: Endpoints,
        requests: _PollRequests,
        logs: Mapping[str, PollRequest],
        recent: Mapping[str, PollRequest],
        results: Mapping[PollRequest, PollResult],
    ) -> Snapshot:
        now = self._now()
        verdicts = verdicts_of(results[requests.verdicts].body)
        runs = runs_of(*(results[poll].body for poll in requests.runs))
        decisions = decisions_of(results[requests.decisions].body)
        releases = {name: releases_of(name, results[poll].body) for name, poll in logs.items()}
        told = ServiceReports(
            servers={name: results[poll] for name, poll in requests.servers.items()},
            predicted=[_samples(results[poll]) for poll in requests.server_metrics],
            sink=results[requests.sink],
            in_lake=_samples(results[requests.sink_metrics]),
            drift=results[requests.drift],
            retraining=results[requests.retraining],
            logs={name: results[poll] for name, poll in logs.items()},
            recent={name: results[poll] for name, poll in recent.items()},
        )
        models = models_of(told)
        parts = tuple(self._remembered(part, endpoints, now) for part in _parts(endpoints, requests, results))
        return Snapshot(
            at=now,
            parts=parts,
            models=models,
            verdicts=verdicts,
            decisions=decisions,
            runs=runs,
            releases=_newest_first(releases),
            needs=action_items_of(
                parts, models, runs, unacknowledged_of(results[requests.decisions].body), now
            ),
            stale=stale_of(
                {
                    "verdicts": [results[requests.verdicts]],
                    "decisions": [results[requests.decisions]],
                    "runs": [results[poll] for poll in requests.runs],
                    "releases": [results[poll] for poll in logs.values()],
                }
            ),
        )

    def _remembered(self, part: ComponentHealth, endpoints: Endpoints, now: datetime) -> ComponentHealth:
        """The part with the moment its trouble began, its log, and how often it was started again."""
        if part.condition == "up":
            self._since.pop(part.name, None)
        else:
            self._since.setdefault(part.name, part.since or now)
            log = endpoints.log(part.name)
            if log and part.is_core:
                part = replace(part, hint=f"read {log}; `homeostat status` shows every process")
        restarts = endpoints.restarts_of(part.name)
        if restarts:
            part = replace(part, details=(*part.details, ("restarted", count(restarts, "time"))))
        return replace(part, since=self._since.get(part.name))


class _PollRequests:
    """What is requests at every look."""

    def __init__(self, endpoints: Endpoints) -> None:
        self.servers = {
            _server(url): PollRequest("inference", url, "/status.json") for url in endpoints.servers
        }
        self.server_metrics = [
            PollRequest("inference", url, "/metrics", is_text=True) for url in endpoints.servers
        ]
        self.shipper = PollRequest("shipper", endpoints.shipper, "/status")
        self.shipper_metrics = PollRequest("shipper", endpoints.shipper, "/metrics", is_text=True)
        self.sink = PollRequest("sink", endpoints.sink, "/status")
        self.sink_metrics = PollRequest("sink", endpoints.sink, "/metrics", is_text=True)
        self.drift = PollRequest("drift", endpoints.drift, "/status")
        self.verdicts = PollRequest("drift", endpoints.drift, f"/verdicts?limit={VERDICTS}")
        self.retraining = PollRequest("retraining", endpoints.retraining, "/status")
        self.decisions = PollRequest("retraining", endpoints.retraining, f"/decisions?limit={DECISIONS}")
        # A run that waits is shown however many came after it.
        self.runs = [
            PollRequest("retraining", endpoints.retraining, f"/runs?limit={RUNS}"),
            *(
                PollRequest("retraining", endpoints.retraining, f"/runs?state={state}&limit={RUNS}")
                for state in WAITING
            ),
        ]
        self.watching = {
            name: PollRequest(name, base, path, is_text=True)
            for name, base, path in (
                ("prometheus", endpoints.prometheus, "/-/ready"),
                ("alertmanager", endpoints.alertmanager, "/-/ready"),
                ("grafana", endpoints.grafana, "/api/health"),
            )
            if base
        }
        self._drift = endpoints.drift
        self._retraining = endpoints.retraining

    @property
    def all(self) -> list[PollRequest]:
        """Every poll but those about single models."""
        return [
            *self.servers.values(),
            *self.server_metrics,
            *(self.shipper, self.shipper_metrics, self.sink, self.sink_metrics),
            *(self.drift, self.verdicts, self.retraining, self.decisions),
            *self.runs,
            *self.watching.values(),
        ]

    def logs(self, models: Sequence[str]) -> dict[str, PollRequest]:
        """The release log of each model."""
        return {
            model: PollRequest("retraining", self._retraining, f"/models/{quote(model, safe='')}/releases")
            for model in models
        }

    def recent(self, models: Sequence[str]) -> dict[str, PollRequest]:
        """The newest verdicts of each model: among those of all, a busy model leaves no room for a quiet one."""
        return {
            model: PollRequest(
                "drift", self._drift, f"/verdicts?model={quote(model, safe='')}&limit={RECENT}"
            )
            for model in models
        }


def _parts(
    endpoints: Endpoints, requests: _PollRequests, results: Mapping[PollRequest, PollResult]
) -> list[ComponentHealth]:
    alone = len(endpoints.servers) == 1
    servers = [
        inference_part("inference" if alone else f"inference {name}", results[poll], poll.base)
        for name, poll in requests.servers.items()
    ]
    shipper, sink, retraining = (
        results[requests.shipper],
        results[requests.sink],
        results[requests.retraining],
    )
    # How a part is, is said by figures of now or not at all.
    shipped, sunk = (
        _samples(one if one.is_fresh else PollResult())
        for one in (results[requests.shipper_metrics], results[requests.sink_metrics])
    )
    return [
        *servers,
        shipper_part(shipper, shipped, endpoints.shipper),
        kafka_part(shipper, sink, retraining, sunk),
        sink_part(sink, sunk, endpoints.sink),
        drift_part(results[requests.drift], endpoints.drift),
        retraining_part(retraining, endpoints.retraining),
        *(watching_part(name, results[poll], poll.base) for name, poll in requests.watching.items()),
    ]


def _samples(results: PollResult) -> Samples:
    body: Any = results.body
    return Samples(body if isinstance(body, str) else "", WANTED)


def _newest_first(logs: Mapping[str, Sequence[Release]]) -> tuple[Release, ...]:
    entries = [entry for log in logs.values() for entry in log]
    entries.sort(
        key=lambda entry: (entry.released_at.timestamp() if entry.released_at else 0.0, entry.generation),
        reverse=True,
    )
    return tuple(entries[:RELEASES])


def _server(url: str) -> str:
    return urlsplit(url).netloc or url
