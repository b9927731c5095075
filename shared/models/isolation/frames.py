"""Messages between a service and an isolated process, over a socket: a head in JSON, then bytes.

Nothing that is read can run code: arrays travel as their bytes with type and shape, texts as JSON.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

Array = npt.NDArray[Any]
Wait = Callable[[], None]

_SIZES = struct.Struct("!QQ")


class PeerGone(Exception):
    """The other process closed the socket, or ended."""


def send(
    peer: socket.socket, head: Mapping[str, Any], body: Sequence[bytes | memoryview], wait: Wait
) -> None:
    """Send a message. `wait` is called after each timeout of the socket, and raises to give up. Raises PeerGone."""
    text = orjson.dumps(head)
    sizes = _SIZES.pack(len(text), sum(len(part) for part in body))
    for part in (sizes + text, *body):
        rest = memoryview(part)
        while len(rest):
            try:
                rest = rest[peer.send(rest) :]
            except TimeoutError:
                wait()
            except OSError as error:
                raise PeerGone from error


def receive(peer: socket.socket, wait: Wait) -> tuple[dict[str, Any], memoryview]:
    """The next message. `wait` as for `send`. Raises PeerGone."""
    head_bytes, body_bytes = _SIZES.unpack(_read(peer, _SIZES.size, wait))
    head: dict[str, Any] = orjson.loads(_read(peer, head_bytes, wait))
    return head, _read(peer, body_bytes, wait)


def describe(arrays: Mapping[str, Array]) -> tuple[list[dict[str, Any]], list[memoryview]]:
    """Arrays as descriptions for a head, and their bytes. Objects are texts."""
    descriptions: list[dict[str, Any]] = []
    body = []
    for name, array in arrays.items():
        described: dict[str, Any] = {"name": name, "shape": list(array.shape)}
        if array.dtype.kind == "O":
            described["texts"] = array.ravel().tolist()
        else:
            described["dtype"] = array.dtype.str
            body.append(np.ascontiguousarray(array).data.cast("B") if array.size else memoryview(b""))
        descriptions.append(described)
    return descriptions, body


def restore(descriptions: Sequence[Mapping[str, Any]], body: memoryview) -> dict[str, Array]:
    """The arrays of `describe`. Raises ValueError."""
    arrays: dict[str, Array] = {}
    start = 0
    for described in descriptions:
        shape = tuple(described["shape"])
        if "texts" in described:
            array = np.empty(len(described["texts"]), object)
            array[:] = described["texts"]
        else:
            dtype = np.dtype(described["dtype"])
            count = int(np.prod(shape, dtype=np.int64))
            array = np.frombuffer(body, dtype, count, start) if count else np.empty(0, dtype)
            start += array.nbytes
        arrays[described["name"]] = array.reshape(shape)
    return arrays


def _read(peer: socket.socket, size: int, wait: Wait) -> memoryview:
    buffer = memoryview(bytearray(size))
    filled = 0
    while filled < size:
        try:
            received = peer.recv_into(buffer[filled:])
        except TimeoutError:
            wait()
            continue
        except OSError as error:
            raise PeerGone from error
        if not received:
            raise PeerGone
        filled += received
    return buffer
