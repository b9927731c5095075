"""A time limit for a complete call, including slow responses."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import TypeVar

from shared.grafana.access import URL
from shared.grafana.interface import GrafanaOutcomeUnknown, GrafanaUnavailable

T = TypeVar("T")


class Deadline:
    """Runs one call at a time, for at most `seconds`. A call that takes longer continues in its daemon thread, and no other
    call is made until it ends, so that at most one thread hangs."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self._seconds = seconds
        self._hanging: Thread | None = None

    def run(self, request: Callable[[], T]) -> T:
        """Result or exception of `request`. GrafanaOutcomeUnknown on timeout, GrafanaUnavailable while an earlier one hangs."""
        if self._hanging is not None and self._hanging.is_alive():
            raise GrafanaUnavailable(f"Grafana at {self._url} has not finished an earlier request")
        values: list[T] = []
        errors: list[BaseException] = []

        def target() -> None:
            try:
                values.append(request())
            except BaseException as error:
                errors.append(error)

        thread = Thread(target=target, name="grafana-call", daemon=True)
        thread.start()
        thread.join(self._seconds)
        if errors:
            raise errors[0]
        if not values:
            self._hanging = thread
            raise GrafanaOutcomeUnknown(
                f"Grafana at {self._url} did not complete the response within {self._seconds:g} s",
                hint=f"check that it runs and that {URL} is correct",
            )
        return values[0]
