"""When a server is ready, as its probes say it."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ROW, ToyStore


def _probes(server: InferenceServer) -> list[int]:
    return [server.ask("GET", path).status_code for path in ("/health/ready", "/v2/health/ready")]


def test_ending_server_is_not_ready_and_answers(tmp_path: Path) -> None:
    toys = ToyStore(tmp_path)
    toys.put_and_release(1.0)
    server = InferenceServer(toys)
    assert _probes(server) == [200, 200]
    server.drain.begun = True
    assert _probes(server) == [503, 503]
    assert server.ask("GET", "/health/live").status_code == 200
    assert server.predict(ROW).status_code == 200


def test_starting_server_is_not_ready_before_it_tried_every_release(tmp_path: Path) -> None:
    toys = ToyStore(tmp_path)
    toys.put_and_release(1.0)
    server = InferenceServer(toys)
    server.poller.has_polled = False
    assert _probes(server) == [503, 503]
