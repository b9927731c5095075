"""The days of the example, sent to a server that remembers what it got."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import orjson
import pytest

from examples.images.data import BEGINS, day_of_pictures
from examples.images.replay import Replay
from examples.loop.clock import LoopStalled
from examples.loop.poller import LoopView


class Server(ThreadingHTTPServer):
    """Answers every picture with `good`, and keeps what came."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.served = "v1"
        self.pictures: list[tuple[str, int]] = []
        self.outcomes: list[dict[str, Any]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: object) -> None:
        return

    def do_GET(self) -> None:
        self._answer(200, {"versions": [self.server.served]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/outcomes":
            self.server.outcomes += orjson.loads(body)["outcomes"]
            self._answer(202, {})
            return
        head = orjson.loads(body[: int(self.headers["Inference-Header-Content-Length"])])
        rows, before = head["inputs"][0]["shape"][0], sum(count for _, count in self.server.pictures)
        self.server.pictures.append((head["parameters"]["event_time"], rows))
        ids = [str(before + place) for place in range(rows)]
        outputs = [{"name": "prediction_id", "data": ids}, {"name": "label", "data": ["good"] * rows}]
        self._answer(200, {"model_version": self.server.served, "outputs": outputs})

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        content = orjson.dumps(document)
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as started:
        thread = Thread(target=started.serve_forever, args=(0.01,))
        thread.start()
        yield started
        started.shutdown()
        thread.join()


def _replay(server: Server, view: LoopView, **options: Any) -> Replay:
    return Replay(f"http://127.0.0.1:{server.server_port}", view, BEGINS, **options)


def test_outcomes_follow_their_pictures_by_six_hours(server: Server) -> None:
    replay = _replay(server, LoopView())
    pictures = day_of_pictures(0, 24, 1)
    replay.send_day(0, pictures)
    assert sum(count for _, count in server.pictures) == 24
    assert len(server.outcomes) == 15  # those of the pictures before 14:00: the last request is that of 20:00
    replay.close()
    assert [item["value"] for item in server.outcomes] == pictures.outcome.to_list()
    assert server.outcomes[0]["observed_at"] == "2026-03-02T06:00:00+00:00"
    assert replay.replayed.prediction_id == [str(place) for place in range(24)]
    assert replay.replayed.failures == []


def test_days_wait_for_the_loop(server: Server) -> None:
    view, pauses = LoopView(), []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            view.evaluated = datetime.fromisoformat("2026-03-03T00:00:00+00:00")

    replay = _replay(server, view, pause=pause)
    for day in (0, 1):
        replay.send_day(day, day_of_pictures(day, 5, 1))
    assert pauses == []
    replay.send_day(2, day_of_pictures(2, 5, 1))
    assert len(pauses) == 3
    replay.close()


def test_days_wait_until_a_promoted_version_is_served(server: Server) -> None:
    view, pauses = LoopView(runs=[{"state": "promoted", "version": "v2"}]), []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            server.served = "v2"

    replay = _replay(server, view, pause=pause)
    replay.send_day(0, day_of_pictures(0, 5, 1))
    assert len(pauses) == 2
    assert replay.replayed.version == ["v2"] * 5
    replay.close()


def test_stalled_loop_ends_the_days_with_a_reason(server: Server) -> None:
    replay = _replay(server, LoopView(problem="drift is down"), pause=lambda _: None, stalled_s=5.0)
    with pytest.raises(LoopStalled, match=r"no progress at 2026-03-03 12:00 for 5 s: drift is down"):
        replay.send_day(3, day_of_pictures(3, 5, 1))
    replay.close()
