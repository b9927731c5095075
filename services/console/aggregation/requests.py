"""The requests from which a snapshot is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

from services.console.aggregation.endpoints import Endpoints
from services.console.aggregation.poller import PollRequest
from services.console.aggregation.prometheus_samples import Samples
from services.console.aggregation.responses import (
    Decisions,
    DriftStatus,
    InferenceStatus,
    LogStatus,
    Releases,
    RetrainingStatus,
    Runs,
    Verdicts,
)

MAXIMUM_VERDICTS, MAXIMUM_DECISIONS, MAXIMUM_RUNS = 50, 100, 30  # of all models together
WINDOWS_PER_MODEL = 40
# Inputs and performance of each window.
VERDICTS_PER_MODEL = 2 * WINDOWS_PER_MODEL
_AWAITING_APPROVAL = ("suggested", "waiting_for_approval")


class Requests:
    """The requests to the services at `endpoints`; those about single models are made when the models are known."""

    def __init__(self, endpoints: Endpoints) -> None:
        shipper, sink, drift, retraining = (
            endpoints.shipper,
            endpoints.sink,
            endpoints.drift,
            endpoints.retraining,
        )
        self.servers = {
            urlsplit(url).netloc or url: PollRequest("inference", url, "/status.json", InferenceStatus.parse)
            for url in endpoints.servers
        }
        self.server_metrics = [
            PollRequest("inference", url, "/metrics", Samples.parse) for url in endpoints.servers
        ]
        self.shipper = PollRequest("shipper", shipper, "/status", LogStatus.parse)
        self.shipper_metrics = PollRequest("shipper", shipper, "/metrics", Samples.parse)
        self.sink = PollRequest("sink", sink, "/status", LogStatus.parse)
        self.sink_metrics = PollRequest("sink", sink, "/metrics", Samples.parse)
        self.drift = PollRequest("drift", drift, "/status", DriftStatus.parse)
        self.verdicts = PollRequest("drift", drift, f"/verdicts?limit={MAXIMUM_VERDICTS}", Verdicts.parse)
        self.retraining = PollRequest("retraining", retraining, "/status", RetrainingStatus.parse)
        self.decisions = PollRequest(
            "retraining", retraining, f"/decisions?limit={MAXIMUM_DECISIONS}", Decisions.parse
        )
        # Runs that await approval are asked for by state: many newer runs would hide them.
        queries = ("", *(f"state={state}&" for state in _AWAITING_APPROVAL))
        self.runs = [
            PollRequest("retraining", retraining, f"/runs?{query}limit={MAXIMUM_RUNS}", Runs.parse)
            for query in queries
        ]
        self.monitoring = {
            name: PollRequest(name, base, path, bytes.decode, is_ours=False, login=login)
            for name, base, path, login in (
                ("prometheus", endpoints.prometheus, "/-/ready", endpoints.prometheus_login),
                ("alertmanager", endpoints.alertmanager, "/-/ready", endpoints.alertmanager_login),
                ("grafana", endpoints.grafana, "/api/health", ""),
            )
            if base
        }
        self.releases: dict[str, PollRequest[Releases]] = {}
        self.recent_verdicts: dict[str, PollRequest[Verdicts]] = {}

    def add_models(self, models: Iterable[str]) -> None:
        """Ask for the release log and the newest verdicts of each model.

        Among the newest verdicts of all models, a busy one would hide the others.
        """
        for model in models:
            name = quote(model, safe="")
            path = f"/verdicts?model={name}&limit={VERDICTS_PER_MODEL}"
            self.recent_verdicts[model] = PollRequest("drift", self.drift.base, path, Verdicts.parse)
            self.releases[model] = PollRequest(
                "retraining", self.retraining.base, f"/models/{name}/releases", Releases.parse
            )

    def __iter__(self) -> Iterator[PollRequest[Any]]:
        yield from self.servers.values()
        yield from self.server_metrics
        yield from (self.shipper, self.shipper_metrics, self.sink, self.sink_metrics)
        yield from (self.drift, self.verdicts, self.retraining, self.decisions)
        yield from self.runs
        yield from self.monitoring.values()
        yield from self.of_models()

    def of_models(self) -> Iterator[PollRequest[Any]]:
        """The requests about single models."""
        yield from self.releases.values()
        yield from self.recent_verdicts.values()
