"""The readiness check of a broker, against sockets that answer and sockets that do not."""

from __future__ import annotations

import socket
import struct
from threading import Thread

from local_stack.kafka.ping import broker_answers
from local_stack.ports import free_port


def serve(reply: bytes) -> tuple[str, Thread]:
    server = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with server, server.accept()[0] as connection:
            connection.recv(64)
            connection.sendall(reply)

    thread = Thread(target=answer, daemon=True)
    thread.start()
    return f"127.0.0.1:{server.getsockname()[1]}", thread


def test_responding_broker_is_ready() -> None:
    address, thread = serve(struct.pack(">iihi", 10, 1, 0, 0))
    assert broker_answers(address)
    thread.join(5)


def test_error_code_is_not_ready() -> None:
    assert not broker_answers(serve(struct.pack(">iih", 6, 1, 35))[0])


def test_server_of_another_protocol_is_not_ready() -> None:
    assert not broker_answers(serve(b"HTTP/1.1 400 Bad Request")[0])


def test_connection_closed_without_an_answer_is_not_ready() -> None:
    assert not broker_answers(serve(b"")[0])


def test_closed_port_is_not_ready() -> None:
    assert not broker_answers(f"127.0.0.1:{free_port()}", timeout_s=0.5)
