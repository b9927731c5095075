"""uvicorn's server with an orderly end behind a load balancer.

1. SIGTERM: `/health/ready` answers 503. Everything else is answered as before, also on new connections, for `drain_seconds`; each
   answer says `Connection: close`, so that clients who keep connections open leave
2. the listener closes: connections in its queue are still answered, and later ones are refused at once
3. uvicorn's own end: what is being answered is finished, and what is open is closed
4. requests that are not answered within `seconds_to_finish` are cancelled, which the application answers with 503: BentoML's
   supervisor would kill the process, and with it everything that has to be ended or released. A model call that hangs has a
   thread of its own, which ends with the process

Step 2 closes the listener for the supervisor as well, which has the same one and would keep it open until this process has ended:
the kernel would accept connections that get no answer. A process that the supervisor starts again listens again. Of several
worker processes, which have the same one too, only the last that ends does so: the others go on accepting.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from email.utils import formatdate
from typing import Any

import uvicorn

from shared.http.connections import CLOSE
from shared.observability.logs import get_logger

_log = get_logger(__name__)
_TICK_SECONDS = 0.1  # uvicorn's own
_QUEUED_SECONDS = 0.1
_KILLED_SECONDS = 30.0  # by BentoML's supervisor, after it told the process to end
_STOP_SECONDS = 12.0  # for what runs beside requests: the release log, shadows, threads of model calls
_LEAST_SECONDS = 2.0


class Drain:
    """Whether the process is ending; `seconds`: how long it goes on answering requests then.

    `is_last`: asked once this process accepts no more connections; whether no other worker process does. Raises OSError.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.begun = False
        self.is_last: Callable[[], bool] = lambda: True


class DrainingServer(uvicorn.Server):
    """Ends as described above. The application has the Drain as `drain`."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, close the listener, end."""
        drain: Drain = self.config.app.drain  # type: ignore[union-attr]
        drain.begun = True
        if drain.seconds:
            _log.info("draining", seconds=drain.seconds)
            await self._answer_last_requests(drain.seconds)
        if (
            self.config.timeout_graceful_shutdown is None
        ):  # set by `bentoml serve --timeout-graceful-shutdown`
            self.config.timeout_graceful_shutdown = int(seconds_to_finish(drain.seconds))
        waiting = self._end_listening(sockets or [], drain.is_last)
        for connection in waiting:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        if waiting:
            await asyncio.sleep(_QUEUED_SECONDS)  # uvicorn closes a connection that has sent nothing yet
        await super().shutdown(sockets)

    async def _answer_last_requests(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self.force_exit and (left := end - time.monotonic()) > 0:
            # As uvicorn does while it serves; connections and the fast path take these headers for each answer.
            date = (b"date", formatdate(time.time(), usegmt=True).encode())
            self.server_state.default_headers = [date, *self.config.encoded_headers, CLOSE]
            await asyncio.sleep(min(left, _TICK_SECONDS))

    def _end_listening(
        self, sockets: Sequence[socket.socket], is_last: Callable[[], bool]
    ) -> list[socket.socket]:
        """Close the listeners, for the last process everywhere; the connections that waited in their queues then.

        Nothing else runs in between.
        """
        copies = [one.dup() for one in sockets]
        for server in self.servers:
            server.close()
        waiting: list[socket.socket] = []
        if not _asked(is_last):
            for listener in copies:
                listener.close()
            return waiting
        for listener in copies:
            with listener:
                listener.setblocking(False)
                while (connection := _accept(listener)) is not None:
                    connection.setblocking(False)
                    waiting.append(connection)
                try:
                    listener.shutdown(socket.SHUT_RDWR)
                except OSError:  # another process of this server was first
                    continue
        return waiting

    def _protocol(self) -> asyncio.Protocol:
        made: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = made(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol


def seconds_to_finish(drained: float) -> float:
    """Seconds that requests have to be answered once the listener is closed, after a drain of so many seconds."""
    return max(_LEAST_SECONDS, _KILLED_SECONDS - _STOP_SECONDS - drained)


def _asked(is_last: Callable[[], bool]) -> bool:
    try:
        return is_last()
    except OSError as error:
        _log.warning("listener_left_open", problem=repr(error))
        return False


def _accept(listener: socket.socket) -> socket.socket | None:
    while True:
        try:
            return listener.accept()[0]
        except ConnectionAbortedError:  # that one left before it was accepted
            continue
        except OSError:  # the queue is empty, or the listener is closed
            return None


def drain_before_end() -> None:
    """From now on, uvicorn's server in this process is ours: BentoML makes it by that name."""
    uvicorn.Server = DrainingServer  # type: ignore[misc]
