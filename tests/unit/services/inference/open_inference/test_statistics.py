"""Triton's statistics, counted in the service's metrics."""

from __future__ import annotations

import time
from typing import Any

from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ROW, ToyStore


def of(server: InferenceServer, model: str) -> Any:
    [entry] = server.ask("GET", f"/v2/models/{model}/stats").json()["model_stats"]
    return entry


def test_statistics_count_requests_rows_and_calls(toys: ToyStore) -> None:
    release = toys.put_and_release(0.5)
    server = InferenceServer(toys)
    assert of(server, "toy") == {
        "name": "toy",
        "version": release.version,
        "last_inference": 0,
        "inference_count": 0,
        "execution_count": 0,
        "inference_stats": {
            kind: {"count": 0, "ns": 0} for kind in ("success", "fail", "queue", "compute_infer")
        },
    }
    server.predict(ROW, ROW, ROW)
    server.predict(ROW)
    server.predict({**ROW, "colour": "blue"})
    found = of(server, "toy")
    assert (found["inference_count"], found["execution_count"]) == (4, 2)
    kinds = found["inference_stats"]
    assert {kind: kinds[kind]["count"] for kind in kinds} == {
        "success": 2,
        "fail": 1,
        "queue": 2,
        "compute_infer": 2,
    }
    assert 0 < kinds["compute_infer"]["ns"] < kinds["success"]["ns"] < 60e9
    assert abs(found["last_inference"] / 1000 - time.time()) < 60


def test_statistics_measure_the_queue(toys: ToyStore) -> None:
    toys.put_and_release(0.5)
    server = InferenceServer(toys)
    servable = server.slots.peek("toy")
    assert servable is not None
    server.metrics.called(servable, waited=0.25, seconds=0.5)
    server.metrics.called(servable, waited=0.125, seconds=0.5)
    assert of(server, "toy")["inference_stats"]["queue"] == {"count": 2, "ns": 375_000_000}


def test_statistics_are_of_the_live_version(toys: ToyStore) -> None:
    toys.put_and_release(0.5)
    server = InferenceServer(toys)
    servable = server.slots.peek("toy")
    assert servable is not None
    server.metrics.called(servable, waited=0.25, seconds=0.5)
    server.predict(ROW)
    release = toys.put_and_release(0.6)
    server.poller.poll()
    found = of(server, "toy")
    assert (found["version"], found["inference_count"], found["last_inference"]) == (release.version, 0, 0)
    assert found["inference_stats"]["queue"] == {"count": 0, "ns": 0}


def test_statistics_of_all_models(toys: ToyStore) -> None:
    for model in ("toy", "other"):
        toys.put_and_release(0.5, model=model)
    server = InferenceServer(toys)
    server.predict(ROW, model="toy")
    entries = server.ask("GET", "/v2/models/stats").json()["model_stats"]
    assert [(one["name"], one["inference_count"]) for one in entries] == [("other", 0), ("toy", 1)]
    assert server.ask("GET", "/v2/models/nobody/stats").status_code == 404
    assert server.ask("GET", f"/v2/models/toy/versions/{'0' * 64}/stats").status_code == 404
