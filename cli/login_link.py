"""The link with which a browser logs in to the console: its code is valid once, for a minute, and stands for a key."""

from __future__ import annotations

import os
import time
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from shared.access.client_key import find_client_key
from shared.errors import OperatorError
from shared.http.service_client import ServiceClient, send_request

VALID: str = "valid once, for a minute; `homeostat console` prints another one"
_TIMEOUT_S = 5.0
_POLL_S = 0.1


def login_link(console_url: str, home: Path, *, public_url: str = "") -> str:
    """A link of the console at `console_url`, which browsers reach at `public_url` if that is another.

    Raises OperatorError without a key, CallerError where the console does not accept it, DependencyUnavailable.
    """
    base = console_url.rstrip("/")
    key = find_client_key(home, os.environ).for_url(base)
    if not key:
        raise OperatorError(
            "there is no API key to log in with",
            hint="run this as the user of the installation, or set HOMEOSTAT_API_KEY_FILE",
        )
    hint = "start it with `homeostat up` or `homeostat console`"
    with ServiceClient("console", base, timeout_s=_TIMEOUT_S, hint=hint, api_key=key) as client:
        made = client.post("/login/codes", {})
    return f"{public_url.rstrip('/') or base}{made['path']}"


def is_console(url: str) -> bool:
    """Whether a console answers at `url`: its login page needs no credentials."""
    try:
        status, page = send_request("GET", f"{url.rstrip('/')}/login", timeout_s=_TIMEOUT_S)
    except (OSError, HTTPException, ValueError):
        return False
    return status == 200 and b"Log in to Homeostat" in page


def wait_for_console(url: str, process_id: int, seconds: float) -> bool:
    """Wait until the console answers; False if its process ends or the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if is_console(url):
            return True
        try:
            os.kill(process_id, 0)
        except ProcessLookupError:
            return False
        time.sleep(_POLL_S)
    return False


def reachable(host: str) -> str:
    """The address at which this machine reaches a server that listens on `host`."""
    own = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}
    return own.get(host, f"[{host}]" if ":" in host else host)


def is_at(url: str, port: int) -> bool:
    """Whether a URL has this port."""
    return urlsplit(url).port == port
