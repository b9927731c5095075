"""One look at everything: asks all services at once, and makes a picture of what they said.

The picture is kept for a second, and one look serves everyone who asks meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

from services.console.aggregation.action_items import needs_of
from services.console.aggregation.component_health import (
    drift_part,
    inference_part,
    kafka_part,
    retraining_part,
    shipper_part,
    sink_part,
    watching_part,
)
from services.console.aggregation.endpoints import Places
from services.console.aggregation.models import (
    IN_LAKE,
    PREDICTED,
    RECENT,
    Told,
    model_names,
    models_of,
    stale_of,
)
from services.console.aggregation.parsers import decisions_of, releases_of, runs_of, unseen_of, verdicts_of
from services.console.aggregation.poller import Asker, Heard, Question
from services.console.aggregation.prometheus_samples import Samples
from services.console.aggregation.view_models import Part, Picture, Release
from services.console.formatting import count

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


class Gatherer:
    """Gathers the picture. `now` is for people; `ticks`, seconds that only grow, say how old a picture is. For one event loop."""

    def __init__(
        self,
        asker: Asker,
        places: Callable[[], Places],
        now: Callable[[], datetime],
        ticks: Callable[[], float],
    ) -> None:
        self._asker = asker
        self._places = places
        self._now = now
        self._ticks = ticks
        self._picture: Picture | None = None
        self._looked_at = 0.0
        self._looking = asyncio.Lock()
        # Since when a part is not up; forgotten once it is.
        self._since: dict[str, datetime] = {}

    async def picture(self) -> Picture:
        """The picture, at most a second old."""
        async with self._looking:
            if self._picture is None or self._ticks() - self._looked_at >= KEPT_S:
                self._picture = await self._look()
                self._looked_at = self._ticks()
            return self._picture

    def forget(self) -> None:
        """Look anew at the next question: something was just done."""
        self._picture = None

    async def _look(self) -> Picture:
        places = self._places()
        asked = _Questions(places)
        began = self._ticks()
        heard = await self._asker.ask(asked.all)
        spoken = [
            heard[question].body for question in (*asked.servers.values(), asked.drift, asked.retraining)
        ]
        names = model_names(*spoken)
        logs, recent = asked.logs(names), asked.recent(names)
        heard |= await self._asker.ask([*logs.values(), *recent.values()], self._ticks() - began)
        self._asker.forget_others([*asked.all, *logs.values(), *recent.values()])
        return self._draw(places, asked, logs, recent, heard)

    def _draw(
        self,
        places: Places,
        asked: _Questions,
        logs: Mapping[str, Question],
        recent: Mapping[str, Question],
        heard: Mapping[Question, Heard],
    ) -> Picture:
        now = self._now()
        verdicts = verdicts_of(heard[asked.verdicts].body)
        runs = runs_of(*(heard[question].body for question in asked.runs))
        decisions = decisions_of(heard[asked.decisions].body)
        releases = {name: releases_of(name, heard[question].body) for name, question in logs.items()}
        told = Told(
            servers={name: heard[question] for name, question in asked.servers.items()},
            predicted=[_samples(heard[question]) for question in asked.server_metrics],
            sink=heard[asked.sink],
            in_lake=_samples(heard[asked.sink_metrics]),
            drift=heard[asked.drift],
            retraining=heard[asked.retraining],
            logs={name: heard[question] for name, question in logs.items()},
            recent={name: heard[question] for name, question in recent.items()},
        )
        models = models_of(told)
        parts = tuple(self._remembered(part, places, now) for part in _parts(places, asked, heard))
        return Picture(
            at=now,
            parts=parts,
            models=models,
            verdicts=verdicts,
            decisions=decisions,
            runs=runs,
            releases=_newest_first(releases),
            needs=needs_of(parts, models, runs, unseen_of(heard[asked.decisions].body), now),
            stale=stale_of(
                {
                    "verdicts": [heard[asked.verdicts]],
                    "decisions": [heard[asked.decisions]],
                    "runs": [heard[question] for question in asked.runs],
                    "releases": [heard[question] for question in logs.values()],
                }
            ),
        )

    def _remembered(self, part: Part, places: Places, now: datetime) -> Part:
        """The part with the moment its trouble began, its log, and how often it was started again."""
        if part.condition == "up":
            self._since.pop(part.name, None)
        else:
            self._since.setdefault(part.name, part.since or now)
            log = places.log(part.name)
            if log and part.is_core:
                part = replace(part, hint=f"read {log}; `homeostat status` shows every process")
        restarts = places.restarts_of(part.name)
        if restarts:
            part = replace(part, details=(*part.details, ("restarted", count(restarts, "time"))))
        return replace(part, since=self._since.get(part.name))


class _Questions:
    """What is asked at every look."""

    def __init__(self, places: Places) -> None:
        self.servers = {_server(url): Question(url, "/status.json") for url in places.servers}
        self.server_metrics = [Question(url, "/metrics", is_text=True) for url in places.servers]
        self.shipper = Question(places.shipper, "/status")
        self.shipper_metrics = Question(places.shipper, "/metrics", is_text=True)
        self.sink = Question(places.sink, "/status")
        self.sink_metrics = Question(places.sink, "/metrics", is_text=True)
        self.drift = Question(places.drift, "/status")
        self.verdicts = Question(places.drift, f"/verdicts?limit={VERDICTS}")
        self.retraining = Question(places.retraining, "/status")
        self.decisions = Question(places.retraining, f"/decisions?limit={DECISIONS}")
        # A run that waits is shown however many came after it.
        self.runs = [
            Question(places.retraining, f"/runs?limit={RUNS}"),
            *(Question(places.retraining, f"/runs?state={state}&limit={RUNS}") for state in WAITING),
        ]
        self.watching = {
            name: Question(base, path, is_text=True)
            for name, base, path in (
                ("prometheus", places.prometheus, "/-/ready"),
                ("alertmanager", places.alertmanager, "/-/ready"),
                ("grafana", places.grafana, "/api/health"),
            )
            if base
        }
        self._drift = places.drift
        self._retraining = places.retraining

    @property
    def all(self) -> list[Question]:
        """Every question but those about single models."""
        return [
            *self.servers.values(),
            *self.server_metrics,
            *(self.shipper, self.shipper_metrics, self.sink, self.sink_metrics),
            *(self.drift, self.verdicts, self.retraining, self.decisions),
            *self.runs,
            *self.watching.values(),
        ]

    def logs(self, models: Sequence[str]) -> dict[str, Question]:
        """The release log of each model."""
        return {
            model: Question(self._retraining, f"/models/{quote(model, safe='')}/releases") for model in models
        }

    def recent(self, models: Sequence[str]) -> dict[str, Question]:
        """The newest verdicts of each model: among those of all, a busy model leaves no room for a quiet one."""
        return {
            model: Question(self._drift, f"/verdicts?model={quote(model, safe='')}&limit={RECENT}")
            for model in models
        }


def _parts(places: Places, asked: _Questions, heard: Mapping[Question, Heard]) -> list[Part]:
    alone = len(places.servers) == 1
    servers = [
        inference_part("inference" if alone else f"inference {name}", heard[question], question.base)
        for name, question in asked.servers.items()
    ]
    shipper, sink, retraining = heard[asked.shipper], heard[asked.sink], heard[asked.retraining]
    # How a part is, is said by figures of now or not at all.
    shipped, sunk = (
        _samples(one if one.is_fresh else Heard())
        for one in (heard[asked.shipper_metrics], heard[asked.sink_metrics])
    )
    return [
        *servers,
        shipper_part(shipper, shipped, places.shipper),
        kafka_part(shipper, sink, retraining, sunk),
        sink_part(sink, sunk, places.sink),
        drift_part(heard[asked.drift], places.drift),
        retraining_part(retraining, places.retraining),
        *(watching_part(name, heard[question], question.base) for name, question in asked.watching.items()),
    ]


def _samples(heard: Heard) -> Samples:
    body: Any = heard.body
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
