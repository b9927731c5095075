"""The services that take requests, each built in this process on small data, with a valid example of every route."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event

import httpx
from prometheus_client import CollectorRegistry

from services.console.aggregation.aggregator import Aggregator
from services.console.aggregation.poller import Poller
from services.console.http.action_client import ActionClient
from services.console.http.app import make_app as make_console_app
from services.console.http.routes import Dependencies as ConsoleDependencies
from services.console.metrics import ConsoleMetrics
from services.drift.evaluation.evidently_adapter import Drawn, Heading, Sample
from services.drift.http.app import make_app
from services.drift.http.data_summaries import DataSummaries
from services.drift.http.routes import Dependencies
from services.prediction_log.metrics import ShipperMetrics
from services.retraining.bootstrap import build
from services.retraining.settings import RetrainingSettings
from services.retraining.triggers.webhooks import read_triggers
from shared.http.host_check import AllowedHosts
from shared.http.metrics_server import MetricsApp
from tests.fakes.callers import ADMIN, Everyone
from tests.fakes.console_logins import console_logins
from tests.fakes.inference_server import IDS, InferenceServer
from tests.fakes.loop_services import busy_loop, endpoints, wire
from tests.fakes.retraining_installation import MODEL, START, make_installation
from tests.fakes.toy_model import ToyStore
from tests.fuzz.routes import (
    console_routes,
    drift_routes,
    inference_routes,
    metrics_routes,
    retraining_routes,
)
from tests.fuzz.runner import Target
from tests.unit.services.drift.installation import Installation
from tests.unit.services.drift.world import World, loop, minutes, ordinary


def inference(folder: Path) -> Target:
    """A server with one model."""
    toys = ToyStore(folder)
    version = toys.put_and_release(0.5, kind="probability").version
    server = InferenceServer(toys)
    routes = inference_routes(version, [IDS.make("toy"), IDS.make("toy")])
    return Target("inference", server.app, routes)


def drift(folder: Path) -> Target:
    """A monitor with one model, two verdicts and their reports."""
    installation = Installation(World(folder))
    manifest = installation.world.version(loop(), ordinary(1000, 1))
    installation.world.release(manifest)
    installation.world.answer(manifest, 1, ordinary(700, 2, shift=1.0))
    verdict_id = installation.settle()[0].verdict_id
    ready = Event()
    ready.set()
    reports = installation.reports(_Drawer())
    app = make_app(
        Dependencies(
            installation.monitor,
            installation.verdicts,
            reports,
            DataSummaries(lambda model: {"problem": f"no rows of {model}"}, lambda: minutes(100_000)),
            installation.metrics.registry,
            ready,
            minutes(0),
            lambda: minutes(100_000),
            AllowedHosts.of("127.0.0.1", "drift", "HOMEOSTAT_DRIFT_NAMES"),
            Everyone(),
        )
    )
    return Target("drift", app, drift_routes(verdict_id))


class _Drawer:
    """Draws nothing: what a report shows is not the client's choice."""

    def prepare(self, seconds: float) -> None:
        pass

    def draw(self, heading: Heading, samples: list[Sample]) -> Drawn:
        return Drawn(f"<html>{heading.title}</html>", "{}", "{}")


def retraining(folder: Path) -> Target:
    """The service with a deployed model; its background work is not started, so no run trains."""
    world = make_installation(folder, days=15, automation="suggest")
    service = build(world.settings, RetrainingSettings(listen=False, mlflow=False))
    service.controller.deploy(MODEL, world.champion, str(world.project), "ann")
    asked = {"model": MODEL, "reason": "new data", "key": "one", "actor": "ann"}
    [cause], _ = read_triggers(asked, START + timedelta(days=14), ADMIN)
    recorded = service.controller.handle_cause(cause)
    key, run_id = recorded.cause_key, recorded.run_id
    if not run_id:
        raise AssertionError(f"no run to ask about: {recorded.decision.reason}")
    routes = retraining_routes(MODEL, world.champion, str(world.project), run_id, key)
    return Target("retraining", service.app, routes)


def console(folder: Path) -> Target:
    """The console in front of fake services, whose answers are valid. `folder` is not used."""
    loop = busy_loop()
    metrics = ConsoleMetrics(CollectorRegistry())
    client = httpx.AsyncClient(transport=wire(loop))
    where = endpoints("http://loop")
    poller = Poller(client, lambda: loop.now, time.monotonic, metrics)
    app = make_console_app(
        ConsoleDependencies(
            Aggregator(poller, lambda: where, lambda: loop.now, time.monotonic, metrics),
            ActionClient(client, lambda: where.retraining),
            client,
            lambda: where.drift,
            lambda: where.retraining,
            metrics,
            console_logins(Everyone()),
        ),
        AllowedHosts.of("127.0.0.1", "", "HOMEOSTAT_CONSOLE_NAMES"),
        poller.close,
    )
    run, cause = loop.runs[0]["run_id"], loop.decisions[0]["cause_key"]
    return Target("console", app, console_routes(loop.model, run, cause, loop.verdicts[0]["verdict_id"]))


def metrics_server(folder: Path) -> Target:
    """The server of shipper and sink. `folder` is not used."""
    registry = CollectorRegistry()
    ShipperMetrics(registry)
    return Target(
        "metrics", MetricsApp(registry, lambda: {"service": "sink", "ready": True}), metrics_routes("sink")
    )


TARGETS = {
    "inference": inference,
    "drift": drift,
    "retraining": retraining,
    "console": console,
    "metrics": metrics_server,
}


@contextmanager
def all_targets(folder: Path) -> Iterator[list[Target]]:
    """The services that are fuzzed, with their data below `folder`."""
    made = []
    for name, make in TARGETS.items():
        (folder / name).mkdir()
        made.append(make(folder / name))
    yield made
