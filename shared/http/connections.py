"""The open connections of one listener, and their limits. Pure: the connections are objects with `abort`.

A connection that owes a request costs its client nothing and the service a file. At the limit the oldest such connection is
closed for the new one, so that clients which send their requests are served whatever the others do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

HEADER_BYTES = 64 << 10
CLOSE = (b"connection", b"close")  # a header: this is the connection's last answer
RECEIVE_SECONDS = 10.0
WRITE_SECONDS = 30.0
_MAX_CONNECTIONS = 1000
_MAX_BACKLOG = 100
_OTHER_FILES = 64  # of the process: stores, logs, connections to other services


class Connection(Protocol):
    """What is needed of a connection."""

    def abort(self) -> None:
        """Close it at once."""


@dataclass(frozen=True)
class Limits:
    """`backlog`: connections that are accepted in one iteration of the event loop, before any is counted."""

    connections: int
    backlog: int
    receive_seconds: float = RECEIVE_SECONDS
    write_seconds: float = WRITE_SECONDS
    header_bytes: int = HEADER_BYTES

    @classmethod
    def for_files(cls, files: int) -> Limits:
        """Limits of a process that may open so many files. Three iterations of accepted connections are not counted yet."""
        spare = max(32, files - _OTHER_FILES)
        backlog = max(4, min(_MAX_BACKLOG, spare // 8))
        return cls(min(_MAX_CONNECTIONS, spare - 4 * backlog), backlog)


@dataclass
class Connections:
    """The connections of one listener."""

    limits: Limits
    _open: set[Connection] = field(default_factory=set)
    _receiving: dict[Connection, None] = field(default_factory=dict)  # in order of time

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, connection: Connection) -> None:
        """A new connection. Closes the oldest one that owes a request if there are too many; else the new one."""
        self._open.add(connection)
        self._receiving[connection] = None
        if len(self._open) > self.limits.connections:
            oldest = next(iter(self._receiving))
            self.closed(oldest)
            oldest.abort()

    def closed(self, connection: Connection) -> None:
        """The connection is gone."""
        self._open.discard(connection)
        self._receiving.pop(connection, None)

    def receiving(self, connection: Connection) -> None:
        """The connection owes a request, from now on or already."""
        if connection in self._open:
            self._receiving.setdefault(connection, None)

    def received(self, connection: Connection) -> None:
        """The request is complete: the service owes a response."""
        self._receiving.pop(connection, None)


def stop_answering(cycle: Any) -> bool:
    """Drop what an application still sends as the response of a uvicorn cycle, as for a client that left; whether one was due."""
    if cycle is None or cycle.response_complete:
        return False
    cycle.disconnected = True
    cycle.message_event.set()
    return True
