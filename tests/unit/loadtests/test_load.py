from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from loadtests.load import Load, generate, post


class SmallServer:
    """Answers every request with `answer`, in two pieces."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while connection.recv(65536):
                try:
                    connection.sendall(self.answer[:20])
                    connection.sendall(self.answer[20:])
                except OSError:
                    return


@pytest.fixture
def small_server(request: pytest.FixtureRequest) -> Iterator[SmallServer]:
    server = SmallServer(request.param)
    yield server
    server.socket.close()


@pytest.mark.parametrize("small_server", [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"], indirect=True)
def test_answers_are_counted_and_timed(small_server: SmallServer) -> None:
    load = generate("127.0.0.1", small_server.port, post("/", b"{}"), connections=3, seconds=0.3)
    assert load.errors == 0
    assert len(load.latencies) > 10
    assert load.per_second == pytest.approx(len(load.latencies) / load.seconds)
    assert 0 < load.percentile(0.5) <= load.percentile(0.99)


@pytest.mark.parametrize("small_server", [b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}"], indirect=True)
def test_errors_are_no_answers(small_server: SmallServer) -> None:
    load = generate("127.0.0.1", small_server.port, post("/", b"{}"), connections=2, seconds=0.2)
    assert load.errors > 0
    assert load.latencies == []


def test_percentiles_are_of_the_sorted_latencies() -> None:
    load = Load(seconds=1.0, latencies=[0.3, 0.1, 0.2, 0.4])
    assert (load.percentile(0.0), load.percentile(0.5), load.percentile(1.0)) == (0.1, 0.3, 0.4)
