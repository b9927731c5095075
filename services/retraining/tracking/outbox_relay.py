"""The thread that empties the ledger's outbox into a mirror, whenever the mirror lets it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from typing import Any, Protocol

from services.retraining.ledger.ledger import Ledger
from shared.observability.logs import get_logger

_log = get_logger(__name__)


class Tracker(Protocol):
    """What is told about runs and releases."""

    def send(self, entry: dict[str, Any]) -> None:
        """Take one entry; may raise anything, the entry then comes again."""


class OutboxRelay:
    """Feeds a mirror. `open_tracker` may be slow and may fail; it is tried again after `pause` seconds."""

    def __init__(
        self,
        ledger: Ledger,
        open_tracker: Callable[[], Tracker],
        *,
        pause: float,
        stop: Event,
        busy: Callable[[], bool],
    ) -> None:
        """`busy` says that runs are at work: the mirror waits then, for it must never slow them."""
        self._ledger = ledger
        self._open_tracker = open_tracker
        self._pause = pause
        self._stop = stop
        self._busy = busy
        self._tracker: Tracker | None = None
        self._thread = Thread(target=self._work, name="mirror", daemon=True)
        self.problem = ""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def _work(self) -> None:
        while not self._stop.wait(self._pause):
            try:
                while not self._stop.is_set() and not self._busy() and self.feed():
                    pass
                self.problem = ""
            except Exception as error:  # whatever a mirror raises, it is its own trouble
                self.problem = f"{type(error).__name__}: {error}"[:300]
                _log.warning("mlflow_retrying", problem=self.problem)

    def feed(self) -> int:
        """Pass on what is waiting; how many entries went through."""
        entries = self._ledger.unsent()
        if not entries:
            return 0
        if self._tracker is None:
            self._tracker = self._open_tracker()
        for entry in entries:
            self._tracker.send(entry)
            self._ledger.mark_sent([entry["id"]])
            if self._stop.is_set() or self._busy():
                break
        return len(entries)
