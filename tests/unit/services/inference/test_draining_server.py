"""The end of a server: what its probe and its answers say meanwhile, and what becomes of connections in the listener's queue."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
import uvicorn

from services.inference.draining_server import Drain, DrainingServer, drain_before_end, seconds_to_finish
from tests.waiting import bound

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class App:
    """Answers with whether its process is ending."""

    def __init__(self, seconds: float) -> None:
        self.drain = Drain(seconds)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
        await send({"type": "http.response.body", "body": b"1" if self.drain.begun else b"0"})


class Running:
    """A server on a listener that another process has, too."""

    def __init__(self, seconds: float) -> None:
        self.app = App(seconds)
        config = uvicorn.Config(self.app, log_config=None, lifespan="off", loop="asyncio", http="httptools")
        self.server = DrainingServer(config)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.supervisors = self.listener.dup()
        self.port = self.listener.getsockname()[1]
        self.serving = asyncio.create_task(self.server._serve([self.listener]))

    async def started(self) -> None:
        while not self.server.started:
            await asyncio.sleep(0.01)


@pytest.fixture
def listeners() -> Iterator[list[socket.socket]]:
    made: list[socket.socket] = []
    yield made
    for one in made:
        one.close()


async def _get(client: httpx.AsyncClient) -> tuple[str, str]:
    answer = await client.get("/")
    return answer.text, answer.headers.get("connection", "")


async def _answers(running: Running) -> AsyncIterator[tuple[str, str]]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{running.port}", timeout=bound(5)) as client:
        while True:
            yield await _get(client)


def test_answers_close_their_connections_while_draining(listeners: list[socket.socket]) -> None:
    async def scene() -> None:
        running = Running(60.0)
        listeners.append(running.supervisors)
        await running.started()
        answers = _answers(running)
        assert await anext(answers) == ("0", "")
        running.server.should_exit = True
        while not running.app.drain.begun:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        # The second one is on a new connection.
        assert [await anext(answers), await anext(answers)] == [("1", "close"), ("1", "close")]
        running.server.force_exit = True  # as a second SIGINT does: the drain ends
        await asyncio.wait_for(running.serving, bound(5))
        with pytest.raises(httpx.ConnectError):
            await anext(answers)

    asyncio.run(asyncio.wait_for(scene(), bound(20)))


def test_connections_in_the_queue_are_answered_at_the_end(listeners: list[socket.socket]) -> None:
    async def scene() -> None:
        running = Running(0.0)
        listeners.append(running.supervisors)
        await running.started()
        address = ("127.0.0.1", running.port)
        with socket.create_connection(address) as early:  # the loop does not run: it stays in the queue
            early.sendall(REQUEST)
            running.server.should_exit = True
            ending = asyncio.create_task(running.server.shutdown([running.listener]))
            running.serving.cancel()
            early.setblocking(False)
            answer = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(early, 1000), bound(5))
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            await asyncio.wait_for(ending, bound(5))
        with pytest.raises(ConnectionRefusedError), socket.create_connection(address, timeout=bound(5)):
            pass

    asyncio.run(asyncio.wait_for(scene(), bound(20)))


class Hanging(App):
    """Never answers, and notes that it was cancelled."""

    cancelled = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            await super().__call__(scope, receive, send)


def test_request_that_is_not_answered_ends_with_the_server(listeners: list[socket.socket]) -> None:
    async def scene() -> None:
        running = Running(0.0)
        listeners.append(running.supervisors)
        running.server.config.app = app = Hanging(0.0)
        running.server.config.timeout_graceful_shutdown = 1
        await running.started()
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(REQUEST)
        while not running.server.server_state.tasks:
            await asyncio.sleep(0.01)
        running.server.should_exit = True
        await asyncio.wait_for(running.serving, bound(5))
        assert app.cancelled
        assert (await asyncio.wait_for(reader.read(), bound(5))).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()

    asyncio.run(asyncio.wait_for(scene(), bound(20)))


@pytest.mark.parametrize(("drained", "seconds"), [(0, 18), (5, 13), (20, 2)])
def test_requests_are_given_up_before_the_supervisor_kills(drained: float, seconds: float) -> None:
    assert seconds_to_finish(drained) == seconds

    async def scene() -> None:
        running = Running(0.0)
        running.app.drain.seconds = drained
        running.server.force_exit = True  # no drain in this test
        await running.started()
        running.server.should_exit = True
        await asyncio.wait_for(running.serving, bound(5))
        running.supervisors.close()
        assert running.server.config.timeout_graceful_shutdown == seconds

    asyncio.run(asyncio.wait_for(scene(), bound(20)))


def _not_known() -> bool:
    raise OSError("no space")


@pytest.mark.parametrize("is_last", [lambda: False, _not_known])
def test_other_worker_processes_go_on_accepting(
    is_last: Callable[[], bool], listeners: list[socket.socket]
) -> None:
    async def scene() -> None:
        running = Running(0.0)
        listeners.append(running.supervisors)
        running.app.drain.is_last = is_last
        await running.started()
        running.server.should_exit = True
        await asyncio.wait_for(running.serving, bound(5))
        with socket.create_connection(("127.0.0.1", running.port), timeout=bound(5)) as connection:
            running.supervisors.settimeout(bound(5))
            accepted, address = running.supervisors.accept()
            accepted.close()
            assert address == connection.getsockname()

    asyncio.run(asyncio.wait_for(scene(), bound(20)))


def test_bentoml_makes_this_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn, "Server", uvicorn.Server)
    drain_before_end()
    assert uvicorn.Server is DrainingServer
