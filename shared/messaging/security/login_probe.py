"""One login at a broker, to find out why it fails.

A broker answers a failed login and closes the connection. kafka-python often notices the end before the answer, and reports only
that no broker could be reached in time. So after such a failure this asks the broker itself (Kafka protocol guide, "SASL
authentication sequence").
"""

from __future__ import annotations

import socket
import struct
from typing import Any

from kafka.errors import KafkaError, NoError, for_code
from kafka.net.sasl import get_sasl_mechanism

SASL_HANDSHAKE, SASL_AUTHENTICATE = (17, 1), (36, 0)
_MAX_BYTES = 1 << 20
_STEPS = 5


class LoginFailed(Exception):
    """The broker's answer says why."""


def find_login_problem(connection: socket.socket, options: dict[str, Any]) -> str:
    """Why the broker at the other end of a connection refuses a login; empty if it does not. Raises OSError, struct.error.

    `options` are those of kafka-python's clients.
    """
    name = str(options["sasl_mechanism"])
    try:
        body = _exchange(connection, SASL_HANDSHAKE, _string(name))
        _check(body, f"it does not offer {name}")
        mechanism = get_sasl_mechanism(name)(**options)
        for _ in range(_STEPS):
            if mechanism.is_done():
                return ""
            sent = mechanism.auth_bytes()
            body = _exchange(connection, SASL_AUTHENTICATE, struct.pack(">i", len(sent)) + sent)
            (length,) = struct.unpack_from(">h", body, 2)
            start = 4 + max(length, 0)
            _check(body, body[4:start].decode("utf-8", "replace"))
            (size,) = struct.unpack_from(">i", body, start)
            mechanism.receive(body[start + 4 : start + 4 + max(size, 0)])
    except LoginFailed as error:
        return str(error)
    except (KafkaError, ValueError) as error:
        return str(error)
    return ""


def _exchange(connection: socket.socket, api: tuple[int, int], body: bytes) -> bytes:
    """The body of the answer to one request."""
    request = struct.pack(">hhi", *api, 1) + _string("homeostat-probe") + body
    connection.sendall(struct.pack(">i", len(request)) + request)
    (size,) = struct.unpack(">i", _read(connection, 4))
    if not 4 <= size <= _MAX_BYTES:
        raise LoginFailed("the answer is not one of Kafka")
    return _read(connection, size)[4:]


def _read(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = connection.recv(size - len(found))
        if not part:
            raise LoginFailed("it closes the connection at the login")
        found += part
    return found


def _check(body: bytes, message: str) -> None:
    """Raises LoginFailed if an answer begins with an error code."""
    kind = for_code(struct.unpack_from(">h", body)[0])
    if kind is not NoError:
        raise LoginFailed(message or kind.__name__)


def _string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()
