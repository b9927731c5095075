"""Whether a Kafka broker responds, without the Kafka client, which takes too long to import for `homeostat status`."""

from __future__ import annotations

import socket
import struct

# Kafka protocol guide, "ApiVersions": a broker accepts version 0 of this request before authentication.
API_VERSIONS, VERSION, CORRELATION_ID = 18, 0, 1


def broker_answers(bootstrap: str, *, timeout_s: float = 2.0) -> bool:
    """Whether the first broker of `bootstrap` responds to an ApiVersions request without an error."""
    host, _, port = bootstrap.split(",")[0].strip().rpartition(":")
    request = struct.pack(">hhih", API_VERSIONS, VERSION, CORRELATION_ID, -1)
    try:
        with socket.create_connection((host, int(port)), timeout=timeout_s) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            reply = connection.makefile("rb").read(10)
    except (OSError, ValueError):
        return False
    if len(reply) < 10:
        return False
    _, correlation_id, error_code = struct.unpack(">iih", reply)
    return bool(correlation_id == CORRELATION_ID and error_code == 0)
