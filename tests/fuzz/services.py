"""The services that take requests, each built in this process on small data, with a valid example of every route."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event

import httpx
from prometheus_client import CollectorRegistry

from services.console.aggregation.aggregator import Aggregator
from services.console.aggregation.poller import Poller
from services.console.http.action_client import ActionClient
from services.console.http.app import make_app as make_console_app
from services.console.http.csrf import HEADER
from services.console.http.routes import Dependencies as ConsoleDependencies
from services.console.metrics import ConsoleMetrics
from services.drift.evaluation.evidently_adapter import Sample
from services.drift.http.app import make_app
from services.drift.http.reports import Reports
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
from tests.fakes.toy_model import ROW, ToyStore
from tests.fuzz.payloads import Route
from tests.fuzz.runner import Target
from tests.unit.services.drift.installation import Installation
from tests.unit.services.drift.world import World, loop, minutes, ordinary

TIME = "2026-01-01T00:00:00Z"


def inference(folder: Path) -> Target:
    """A server with one model."""
    toys = ToyStore(folder)
    version = toys.put_and_release(0.5, kind="probability").version
    server = InferenceServer(toys)
    outcome = {"prediction_id": IDS.make("toy"), "value": 1, "observed_at": TIME}
    tensors = [
        {"name": "amount", "datatype": "FP64", "shape": [2], "data": [1.5, 2]},
        {"name": "count", "datatype": "INT64", "shape": [2, 1], "data": [[1], [2]]},
        {"name": "member", "datatype": "BOOL", "shape": [2], "data": [True, False]},
        {"name": "colour", "datatype": "BYTES", "shape": [2], "data": ["red", "green"]},
    ]
    asked = {
        "id": "one",
        "parameters": {"event_time": TIME, "binary_data_output": False},
        "inputs": tensors,
        "outputs": [{"name": "score", "parameters": {"binary_data": False}}],
    }
    rows = {"model": "toy", "event_time": TIME, "rows": [ROW, ROW]}
    split = {"columns": list(ROW), "index": [0, 1], "data": [list(ROW.values())] * 2}
    routes = (
        Route("POST", "/predict", rows),
        Route("POST", "/outcomes", outcome),
        Route("POST", "/outcomes", {"outcomes": [outcome, outcome]}),
        Route("POST", "/v2/models/{}/infer", asked, ("toy",)),
        Route("POST", "/v2/models/{}/versions/{}/infer", asked, ("toy", version)),
        Route("GET", "/v2/models/{}/versions/{}", None, ("toy", version)),
        Route("GET", "/v2/models/{}/config", None, ("toy",)),
        Route("GET", "/v2/models/{}/stats", None, ("toy",)),
        Route("POST", "/v2/repository/index", {"ready": True}),
        Route(
            "POST", "/invocations", {"dataframe_split": split, "params": {"model": "toy", "event_time": TIME}}
        ),
        Route("POST", "/invocations", {"inputs": {name: [value] for name, value in ROW.items()}}),
        Route("POST", "/endpoints/{}/invocations", {"instances": [ROW, ROW]}, ("toy",)),
        Route("GET", "/status"),
    )
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
    reports = Reports(
        folder / "reports",
        installation.verdicts,
        installation.references,
        installation.lake_reader,
        _Drawer(),
    )
    app = make_app(
        Dependencies(
            installation.monitor,
            installation.verdicts,
            reports,
            installation.metrics.registry,
            ready,
            minutes(0),
            lambda: minutes(100_000),
            AllowedHosts.of("127.0.0.1", "drift", "HOMEOSTAT_DRIFT_NAMES"),
            Everyone(),
        )
    )
    window = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"}
    routes = (
        Route("POST", "/models/{}/evaluations", window, ("toy",)),
        Route("POST", "/models/{}/evaluations", {}, ("toy",)),
        Route("GET", "/verdicts", query={"model": "toy", "limit": "5"}),
        Route("GET", "/verdicts/{}", None, (verdict_id,)),
        Route("GET", "/reports/{}", None, (verdict_id,)),
        Route("GET", "/reports/{}/report.json", None, (verdict_id,)),
        Route("GET", "/status"),
    )
    return Target("drift", app, routes)


class _Drawer:
    """Draws nothing: what a report shows is not the client's choice."""

    def draw(self, title: str, explanation: str, samples: list[Sample]) -> tuple[str, str]:
        return f"<html>{title}</html>", "{}"


def retraining(folder: Path) -> Target:
    """The service with a deployed model; its background work is not started, so no run trains."""
    world = make_installation(folder, days=15, automation="suggest")
    service = build(world.settings, RetrainingSettings(listen=False, mlflow=False))
    deployment = {"version": world.champion, "project_directory": str(world.project), "actor": "ann"}
    service.controller.deploy(MODEL, world.champion, str(world.project), "ann")
    alert = {
        "status": "firing",
        "labels": {"alertname": "LossHigh", "model": MODEL, "severity": "page"},
        "annotations": {"summary": "loss is high", "verdict_id": "7" * 32, "version": world.champion},
        "startsAt": "2013-01-31T08:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "c1c2c3",
    }
    asked = {
        "model": MODEL,
        "reason": "new data",
        "key": "one",
        "actor": "ann",
        "event_time": "2013-01-02T00:00:00Z",
    }
    actor = {"actor": "ann"}
    seen = {
        "actor": "ann",
        "note": "sensor replaced",
        "and_older": True,
        "issue": None,
        "expected_older": 0,
    }
    [cause], _ = read_triggers(asked | {"event_time": None}, START + timedelta(days=14), ADMIN)
    recorded = service.controller.handle_cause(cause)
    key, run_id = recorded.cause_key, recorded.run_id
    if not run_id:
        raise AssertionError(f"no run to ask about: {recorded.decision.reason}")
    routes = (
        Route("POST", "/triggers", asked),
        Route("POST", "/triggers", {"version": "4", "status": "firing", "alerts": [alert, alert]}),
        Route("POST", "/models/{}/deployments", deployment, (MODEL,)),
        Route(
            "POST",
            "/models/{}/rollback",
            {**actor, "reason": "bad", "to_generation": 1, "expected_generation": 1},
            (MODEL,),
        ),
        Route("GET", "/models/{}/releases", None, (MODEL,)),
        Route("POST", "/runs/{}/approve", actor, (run_id,)),
        Route("POST", "/runs/{}/reject", actor, (run_id,)),
        Route("POST", "/causes/{}/acknowledge", seen, (key,)),
        Route("GET", "/runs", query={"model": MODEL, "state": "failed", "limit": "5"}),
        Route("GET", "/decisions", query={"model": MODEL, "limit": "5"}),
        Route("GET", "/runs/{}", None, (run_id,)),
        Route("GET", "/predictions/{}/why", None, ("p7-000001",)),
        Route("GET", "/versions/{}/why", None, (world.champion,)),
        Route("GET", "/runs/{}/why", None, (run_id,)),
        Route("GET", "/causes/{}/why", None, (key,)),
        Route("GET", "/status"),
    )
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
            metrics,
            console_logins(Everyone()),
        ),
        AllowedHosts.of("127.0.0.1", "", "HOMEOSTAT_CONSOLE_NAMES"),
        poller.close,
    )
    sent = ((HEADER.encode(), b"1"),)
    run = loop.runs[0]["run_id"]
    cause = loop.decisions[0]["cause_key"]
    verdict = loop.verdicts[0]["verdict_id"]
    answer = {"actor": "ann", "state": "suggested", "gate_digest": ""}
    seen = {"actor": "ann", "note": "seen", "and_older": True, "issue": None, "expected_older": 0}
    back = {"actor": "ann", "reason": "bad", "to_generation": 1, "expected_generation": 2}
    routes = (
        Route("GET", "/"),
        Route("GET", "/main"),
        Route("GET", "/status.json"),
        Route("GET", "/metrics"),
        Route("GET", "/reports/{}", None, (verdict,)),
        Route("GET", "/reports/{}/content", None, (verdict,)),
        Route("POST", "/api/runs/{}/approve", answer, (run,), headers=sent),
        Route("POST", "/api/runs/{}/reject", answer, (run,), headers=sent),
        Route("POST", "/api/causes/{}/acknowledge", seen, (cause,), headers=sent),
        Route("POST", "/api/models/{}/rollback", back, (loop.model,), headers=sent),
    )
    return Target("console", app, routes)


def metrics_server(folder: Path) -> Target:
    """The server of shipper and sink. `folder` is not used."""
    registry = CollectorRegistry()
    ShipperMetrics(registry)
    routes = tuple(Route("GET", path) for path in ("/metrics", "/status", "/health/live", "/{}"))
    named = tuple(replace(route, segments=("status",)) if "{}" in route.path else route for route in routes)
    return Target("metrics", MetricsApp(registry, lambda: {"service": "sink", "ready": True}), named)


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
