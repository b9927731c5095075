"""The open-loop generator against small servers in this process."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.fakes.paced_load import PacedLoad
from tests.fakes.socket_server import request

ASKED = [request("/predict", b"{}")]


def reply(status: str, document: object) -> bytes:
    body = json.dumps(document).encode()
    return b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status.encode(), len(body), body)


PREDICTION = reply(
    "200 OK", {"version": "v", "generation": 3, "predictions": [{"score": 2.0}, {"score": 2.0}]}
)


@contextmanager
def serving(answer: Callable[[int], bytes]) -> Iterator[int]:
    """A server of one connection that answers its n-th request with `answer(n)`."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        number = 0
        with connection:
            while connection.recv(65536):
                connection.sendall(answer(number))
                number += 1

    threading.Thread(target=serve, daemon=True).start()
    with listener:
        yield listener.getsockname()[1]


def load(port: int, seconds: float) -> PacedLoad:
    with PacedLoad(port, ASKED, per_second=100, connections=1) as found:
        time.sleep(seconds)
    return found


def test_rate_is_kept_and_answers_are_told_apart() -> None:
    with serving(lambda number: PREDICTION) as port:
        record = load(port, 2).record
    assert record.failures == []
    assert record.answers == [["v", 3, [2.0]]]
    assert len(record.due) > 20
    gaps = [later - earlier for earlier, later in zip(record.due, record.due[1:], strict=False)]
    assert all(abs(gap - 0.01) < 1e-6 for gap in gaps)


def test_pause_of_the_server_delays_all_that_were_due() -> None:
    def answer(number: int) -> bytes:
        time.sleep(0.5 if number == 5 else 0)
        return PREDICTION

    with serving(answer) as port:
        record = load(port, 2).record
    late = [latency for latency in record.latency if latency > 0.1]
    # Those due within 0.4 s of the pause, one each 10 ms, not the one that met it alone.
    assert len(late) >= 35


def test_other_statuses_are_failures() -> None:
    with serving(lambda number: reply("503 Busy", {"error": "busy"}) if number == 3 else PREDICTION) as port:
        record = load(port, 1.5).record
    assert (record.failed, record.failures) == (1, ['503: {"error": "busy"}'])
