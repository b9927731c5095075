"""Two servers of the same models, with and without the fast path: every request through both, and the same answers and log."""

from __future__ import annotations

import random
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.fakes.class_model import put_classes
from tests.fakes.socket_server import SocketServer, read_answers
from tests.fakes.tensor_model import release_tensor
from tests.fakes.toy_model import ToyStore
from tests.fakes.vector_model import embedding_loop, put_vectors

_ID = re.compile(rb"[0-9a-v]{32}")
_VARIABLE = re.compile(rb"\r\ndate: [^\r]*|\"error_id\":\"[0-9a-f]+\"")

Segments = list[bytes]


class Pair:
    """Both servers, and a connection to each that is used until it is closed."""

    def __init__(self, home: Path) -> None:
        """Serves `toy` (columns), `sums` (a tensor), `animals` (classes) and `vectors` (embeddings)."""
        toys = ToyStore(home)
        toys.put_and_release(0.5)
        release_tensor(toys)
        toys.release(put_classes(toys).version, model="animals")
        loop = embedding_loop()
        toys.release(put_vectors(toys, loop).version, model=loop.model)
        settings: dict[str, Any] = {"maximum_rows": 50, "maximum_body_bytes": 20_000}
        # One is idle while the other is asked: on a busy machine for longer than the five seconds of an ordinary server.
        settings["keep_alive"] = 600
        self.fast = SocketServer(toys, fast=True, **settings)
        self.ordinary = SocketServer(toys, fast=False, **settings)
        self._connections: dict[SocketServer, socket.socket] = {}

    def compare(self, segments: Segments, answers: int, *, fresh: bool = False) -> list[bytes]:
        """The answers of both, which are equal."""
        found = {server: self._ask(server, segments, answers, fresh) for server in (self.ordinary, self.fast)}
        assert found[self.fast] == found[self.ordinary], segments
        return found[self.fast][0]

    def stop(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self.fast.stop()
        self.ordinary.stop()

    def _ask(
        self, server: SocketServer, segments: Segments, answers: int, fresh: bool
    ) -> tuple[list[bytes], bool, list[dict[str, Any]]]:
        client = self._connections.pop(server, None)
        if client is None or fresh:
            if client is not None:
                client.close()
            client = server.connect()
        client.settimeout(20 if answers >= 0 else 0.3)
        server.spool.predictions.clear()
        for segment in segments:
            try:
                client.sendall(segment)
            except (BrokenPipeError, ConnectionResetError):
                break
            if len(segments) > 1:
                time.sleep(0.001)
        received = self._read(client, answers)
        closed = answers >= 0 and len(received) < answers
        closed |= any(b"connection: close" in answer.lower() for answer in received)
        if closed or fresh or answers < 0:
            client.close()
        else:
            self._connections[server] = client
        rows = [row for record in server.spool.predictions for row in rows_of(record)]
        sent = [one for answer in received for one in _ID.findall(answer.partition(b"\r\n\r\n")[2])]
        logged = [row.pop("id").encode() for row in rows]
        assert set(logged) <= set(sent) or any(b" 5" in answer[:13] for answer in received)
        return [_VARIABLE.sub(b"", _ID.sub(b"ID", answer)) for answer in received], closed, rows

    def _read(self, client: socket.socket, answers: int) -> list[bytes]:
        try:
            return read_answers(client, answers if answers >= 0 else 100)
        except TimeoutError:
            return []


def rows_of(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of a record, so that records that are cut differently can be compared."""
    given = record["event_time"].year < 2026
    for place, identity in enumerate(record["prediction_ids"]):
        yield {
            "id": identity,
            "event_time": record["event_time"] if given else "now",
            **{key: record[key] for key in ("model", "version", "generation", "traceparent")},
            "key": None if record["keys"] is None else record["keys"][place],
            "score": None if record["scores"] is None else record["scores"][place],
            "columns": {
                name: values[place].tobytes() if isinstance(values[place], np.ndarray) else values[place]
                for name, values in record["columns"].items()
            },
            "label": record["classes"] and record["classes"].labels[place],
            "scores": record["classes"] and record["classes"].scores[place].tobytes(),
            "vector": None if record["vectors"] is None else record["vectors"][place].tobytes(),
        }


_PIECES = [
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b'"',
    b"0",
    b"-",
    b"1e9",
    b"NaN",
    b"null",
    b"true",
    b"\xff",
    b" ",
    b"\\",
]


def mutated(body: bytes, chance: random.Random) -> bytes:
    """The body with one to three small changes."""
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(body))
        before, after = body[:place], body[place:]
        body = (
            chance.choice(
                [
                    before,
                    before + chance.choice(_PIECES) + after,
                    before + chance.choice(_PIECES) + after[1:],
                    before + after[chance.randint(1, 4) :],
                    before + bytes([chance.randrange(256)]) + after[1:],
                    before + after[:20] + after,
                ]
            )
            or b"{"
        )
    return body
