"""Makes the profiles of new versions in a thread of its own, so that their first rows need not wait."""

from __future__ import annotations

from queue import SimpleQueue
from threading import Event

from services.drift.stream_monitor.profiles import Profiles
from shared.errors import HomeostatError
from shared.observability.logs import get_logger, log_unknown_error

_log = get_logger(__name__)


class ProfilePreparation:
    """`add` may be called by any thread, and never blocks."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[str, str] | None] = SimpleQueue()

    def add(self, model: str, version: str) -> None:
        """Prepare the profile of a version whose reference is there."""
        self._queue.put((model, version))

    def end(self) -> None:
        """Let `run` return."""
        self._queue.put(None)

    def run(self, profiles: Profiles, stop: Event) -> None:
        """Prepare until `end` is called or `stop` is set. An error is left to whoever needs the profile."""
        while not stop.is_set():
            found = self._queue.get()
            if found is None:
                return
            model, version = found
            try:
                profiles.prepare(model, version)
            except HomeostatError as error:
                _log.warning(
                    "stream_profile_not_prepared", model=model, version=version[:12], error=str(error)
                )
            except Exception as error:
                log_unknown_error(_log, error)
