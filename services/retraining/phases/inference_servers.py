"""Reads the metrics of the inference servers over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from shared.access.client_key import ClientKey
from shared.errors import HomeostatError
from shared.http.service_client import ServiceClient

_SECONDS = 2.0
_AT_ONCE = 8


@dataclass(frozen=True)
class Scrape:
    """The metrics of one server, as text; or why they could not be read."""

    server: str
    text: str = ""
    problem: str = ""


# Reads all servers; a server that does not answer has a `problem`.
ReadServers = Callable[[], Sequence[Scrape]]


class InferenceServers:
    """The servers at `urls`, all read at once, so that one that does not answer delays no other."""

    def __init__(self, urls: Sequence[str], key: Callable[[], ClientKey]) -> None:
        """`key`: finds the key to send; called for each read, so that a renewed one is used."""
        self._urls = tuple(urls)
        self._key = key

    def read(self) -> Sequence[Scrape]:
        """The metrics of each server."""
        if len(self._urls) == 1:
            return [self._read(self._urls[0])]
        with ThreadPoolExecutor(min(_AT_ONCE, max(1, len(self._urls))), "scrape") as pool:
            return list(pool.map(self._read, self._urls))

    def _read(self, url: str) -> Scrape:
        try:
            key = self._key().for_url(url)
            return Scrape(
                url, ServiceClient("inference", url, timeout_s=_SECONDS, api_key=key).read("/metrics")
            )
        except (HomeostatError, OSError) as error:
            return Scrape(url, problem=str(error))


def server_urls(setting: str) -> tuple[str, ...]:
    """The addresses in a setting, without repetitions.

    >>> server_urls("http://a:8000, http://b:8000/,http://a:8000")
    ('http://a:8000', 'http://b:8000')
    """
    return tuple(dict.fromkeys(url.strip().rstrip("/") for url in setting.split(",") if url.strip()))
