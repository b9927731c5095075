from __future__ import annotations

import socket
import threading

import numpy as np
import pytest

from shared.models.isolation.frames import PeerGone, describe, receive, restore, send


def never() -> None:
    raise AssertionError("it should not have waited")


def test_arrays_keep_type_shape_and_values() -> None:
    arrays = {
        "numbers": np.arange(6, dtype=np.float32).reshape(3, 2).T,
        "flags": np.array([True, False]),
        "texts": np.array([["a", ""], ["ö", "\x00"]], object),
        "none": np.empty((0, 4), np.int64),
    }
    described, body = describe(arrays)
    found = restore(described, memoryview(b"".join(body)))
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)


def test_message_larger_than_the_socket_arrives_whole() -> None:
    ours, theirs = socket.socketpair()
    body = bytes(range(256)) * 20_000
    with ours, theirs:
        sender = threading.Thread(target=send, args=(ours, {"do": "load"}, [body, b"end"], never))
        sender.start()
        head, received = receive(theirs, never)
        sender.join()
    assert head == {"do": "load"}
    assert received == body + b"end"


def test_waits_are_reported_and_end_the_transfer() -> None:
    ours, theirs = socket.socketpair()
    waits = []

    def give_up() -> None:
        waits.append(True)
        if len(waits) == 3:
            raise TimeoutError("enough")

    with ours, theirs:
        ours.settimeout(0.001)
        with pytest.raises(TimeoutError, match="enough"):
            receive(ours, give_up)
        waits.clear()
        with pytest.raises(TimeoutError, match="enough"):
            send(ours, {}, [bytes(16 << 20)], give_up)


def test_closed_socket_is_reported() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        theirs.sendall(b"\x00" * 3)
        theirs.close()
        with pytest.raises(PeerGone):
            receive(ours, never)
        with pytest.raises(PeerGone):
            send(ours, {}, [b"x"], never)
