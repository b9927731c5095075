"""`python -m deploy.containers.probe URL`: health check of a container; exit code 0 for status 200, else 1.

The images have no curl. It runs every few seconds, so it imports the standard library only.

A container whose service has a certificate is asked over TLS. The certificate is not verified: the container asks itself, by an
address that is not in it.
"""

from __future__ import annotations

import os
import ssl
import sys
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

TIMEOUT_S = 4.0


def probe(url: str) -> str:
    """Send one GET to `url`, without a proxy. Returns the problem; empty if there is none."""
    address = urlsplit(url)
    try:
        connection = _connection(address.hostname or "", address.port)
    except (OSError, ValueError) as error:
        return f"the certificate for {url} cannot be used: {error}"
    try:
        connection.request("GET", address.path or "/")
        answer = connection.getresponse()
        text = answer.read(300).decode("utf-8", "replace")
    except (OSError, HTTPException) as error:
        return f"{url} cannot be reached: {error or type(error).__name__}"
    finally:
        connection.close()
    return "" if answer.status == 200 else f"{url} returned status {answer.status}: {text}"


def _connection(host: str, port: int | None) -> HTTPConnection:
    if not os.environ.get("HOMEOSTAT_TLS_CERTIFICATE"):
        return HTTPConnection(host, port, timeout=TIMEOUT_S)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    certificate, key = (os.environ.get(f"HOMEOSTAT_TLS_CLIENT_{name}") for name in ("CERTIFICATE", "KEY"))
    if certificate:
        context.load_cert_chain(certificate, key)
    return HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)


def main(arguments: list[str]) -> int:
    """Print the problem to standard output, where `docker inspect` shows it."""
    if len(arguments) != 1:
        print("usage: python -m deploy.containers.probe URL")
        return 2
    problem = probe(arguments[0])
    if problem:
        print(problem)
    return 1 if problem else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
