"""A bound on the whole of a call, however slowly its answer trickles in."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import TypeVar

from shared.grafana.access import URL
from shared.grafana.interface import GrafanaAway, GrafanaUnsure

T = TypeVar("T")


class Patience:
    """Waits for one call at a time, for `seconds` in all. A call that takes longer goes on in its daemon thread, and until it
    has ended no other is made: what hangs is one thread, not one for each try."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self._seconds = seconds
        self._hanging: Thread | None = None

    def wait_for(self, call: Callable[[], T]) -> T:
        """What `call` returns or raises. GrafanaUnsure when it takes too long, GrafanaAway while an earlier one hangs."""
        if self._hanging is not None and self._hanging.is_alive():
            raise GrafanaAway(f"Grafana at {self._url} still has not ended an earlier answer")
        values: list[T] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                values.append(call())
            except BaseException as error:
                errors.append(error)

        thread = Thread(target=run, name="grafana-call", daemon=True)
        thread.start()
        thread.join(self._seconds)
        if errors:
            raise errors[0]
        if not values:
            self._hanging = thread
            raise GrafanaUnsure(
                f"Grafana at {self._url} has not ended its answer after {self._seconds:g} s",
                hint=f"check that it runs and that {URL} is right",
            )
        return values[0]
