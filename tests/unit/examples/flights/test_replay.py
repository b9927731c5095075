from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from examples.flights.replay import HELD_PAUSE_S, Answers, Replay
from examples.loop.clock import LoopStalled
from examples.loop.poller import LoopView
from tests.unit.examples.flights.rows import made_flights


class RememberingServer(ThreadingHTTPServer):
    """Answers like inference, and remembers every body in order; refuses what `refuse` names."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.refuse: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def rows(self) -> int:
        return sum(len(body["rows"]) for path, body in self.received if path == "/predict")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each response waits 40 ms for an acknowledgement
    server: RememberingServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path in self.server.refuse:
            return self._answer(503, {"error": "not ready"})
        base = self.server.rows()
        self.server.received.append((self.path, body))
        if self.path == "/outcomes":
            return self._answer(202, {"accepted": len(body["outcomes"])})
        predictions = [{"prediction_id": f"p{base + n}", "score": 0.25} for n in range(len(body["rows"]))]
        self._answer(200, {"version": "v1", "generation": 4, "predictions": predictions})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[RememberingServer]:
    server = RememberingServer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


def _free_view() -> LoopView:
    return LoopView(evaluated=datetime.fromisoformat("2014-01-01T00:00:00+00:00"))


def test_each_hour_is_one_request_and_every_reply_is_kept(server: RememberingServer) -> None:
    flights = made_flights(100)
    answers = Replay(flights, server.url, "flights", _free_view()).run()
    asked = [body for path, body in server.received if path == "/predict"]
    assert [len(body["rows"]) for body in asked] == [10] * 10
    assert asked[3]["event_time"] == "2013-01-15T08:00:00+00:00"
    assert answers.answered == 100
    assert answers.prediction_id == [f"p{place}" for place in range(100)]
    assert set(answers.version) == {"v1"}
    assert (answers.generation == 4).all()
    assert answers.failed == 0


def test_a_missing_number_is_sent_as_null(server: RememberingServer) -> None:
    flights = made_flights(10)
    flights.loc[4, "pressure"] = np.nan
    Replay(flights, server.url, "flights", _free_view()).run()
    rows = server.received[0][1]["rows"]
    assert rows[4]["pressure"] is None
    assert set(rows[0]) == set(flights.columns) - {"event_time", "outcome_time", "outcome"}


def test_an_outcome_is_sent_once_and_never_before_landing(server: RememberingServer) -> None:
    flights = made_flights(100)
    flights.loc[7, ["outcome", "outcome_time"]] = [np.nan, None]
    answers = Replay(flights, server.url, "flights", _free_view()).run()
    now, outcomes = "", []
    for path, body in server.received[:-1]:
        if path == "/predict":
            now = body["event_time"]
        else:
            outcomes += body["outcomes"]
            hour = datetime.fromisoformat(now) + timedelta(hours=1)
            assert all(datetime.fromisoformat(item["observed_at"]) <= hour for item in body["outcomes"])
    outcomes += server.received[-1][1]["outcomes"]
    assert sorted(item["prediction_id"] for item in outcomes) == sorted(f"p{n}" for n in range(100) if n != 7)
    assert answers.outcome_sent.sum() == 99
    assert {item["value"] for item in outcomes} == {0.0, 1.0}


def test_while_held_traffic_goes_on_in_small_pieces(server: RememberingServer) -> None:
    flights = made_flights(1000)
    view = LoopView()
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 4:
            view.evaluated = datetime.fromisoformat("2014-01-01T00:00:00+00:00")

    answers = Replay(flights, server.url, "flights", view, pause=pause).run()
    asked = [body for path, body in server.received if path == "/predict"]
    limit = datetime.fromisoformat("2013-01-18T05:00:00+00:00")
    early = [body for body in asked if datetime.fromisoformat(body["event_time"]) < limit]
    assert [len(body["rows"]) for body in early] == [10] * 72
    assert all(len(body["rows"]) <= 2 for body in asked[72:76])
    assert len(pauses) == 4
    assert max(pauses) < 1.0
    assert answers.answered == 1000


def test_stalled_loop_ends_the_replay_with_a_reason(server: RememberingServer) -> None:
    view = LoopView(problem="ConnectError: drift does not answer")
    pauses: list[float] = []
    with pytest.raises(LoopStalled, match="drift does not answer"):
        Replay(
            made_flights(1000), server.url, "flights", view, pause=pauses.append, stalled_s=10 * HELD_PAUSE_S
        ).run()
    assert len(pauses) == pytest.approx(10, abs=1)


def test_a_refused_request_is_counted_and_its_rows_have_no_answer(server: RememberingServer) -> None:
    server.refuse = {"/predict"}
    answers = Replay(made_flights(30), server.url, "flights", _free_view()).run()
    assert answers.failed == 3
    assert answers.answered == 0
    assert "503" in answers.failures[0]
    assert answers.outcome_sent.sum() == 0
    assert answers.requests == 3


def test_no_answers_at_first() -> None:
    assert Answers.none(3).answered == 0
