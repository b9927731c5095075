"""`python -m deploy.containers.probe URL`: whether a part is ready; exit code 0 for the answer 200, else 1.

For a container's health check, in an image without curl. Only what comes with Python is imported: it runs every few seconds.
"""

from __future__ import annotations

import sys
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

TIMEOUT_S = 4.0


def probe(url: str) -> str:
    """Ask `url` once, past every proxy. What is wrong, or nothing."""
    address = urlsplit(url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", address.path or "/")
        answer = connection.getresponse()
        text = answer.read(300).decode("utf-8", "replace")
    except (OSError, HTTPException) as error:
        return f"{url} does not answer: {error or type(error).__name__}"
    finally:
        connection.close()
    return "" if answer.status == 200 else f"{url} answers {answer.status}: {text}"


def main(arguments: list[str]) -> int:
    """Ask; what is wrong goes to standard output, where `docker inspect` shows it."""
    if len(arguments) != 1:
        print("usage: python -m deploy.containers.probe URL")
        return 2
    problem = probe(arguments[0])
    if problem:
        print(problem)
    return 1 if problem else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
