"""HTTP requests to servers on this machine, each on a connection of its own.

`httpx.get` reads all certificates for every request, which takes 20 ms of CPU: too much for a poll.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import httpx


@cache
def _client() -> httpx.Client:
    return httpx.Client(trust_env=False, verify=False, limits=httpx.Limits(max_keepalive_connections=0))


def get(url: str, **options: Any) -> httpx.Response:
    """GET; no proxy of the environment stands between."""
    return _client().get(url, **options)


def post(url: str, **options: Any) -> httpx.Response:
    """POST; no proxy of the environment stands between."""
    return _client().post(url, **options)


def request(method: str, url: str, **options: Any) -> httpx.Response:
    """Any method."""
    return _client().request(method, url, **options)
