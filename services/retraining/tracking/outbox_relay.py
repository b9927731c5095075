"""Outbox relay: a thread that sends the ledger's outbox to MLflow."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from typing import Any, Protocol

from services.retraining.ledger.ledger import Ledger
from shared.observability.logs import get_logger

_log = get_logger(__name__)


class Tracker(Protocol):
    """Receives runs and releases, such as MLflow."""

    def send(self, entry: dict[str, Any]) -> None:
        """Send one entry; on any exception the entry is sent again."""


class OutboxRelay:
    """Sends outbox entries. `open_tracker` may be slow and may fail; it is retried after `pause` seconds."""

    def __init__(
        self,
        ledger: Ledger,
        open_tracker: Callable[[], Tracker],
        *,
        pause: float,
        stop: Event,
        busy: Callable[[], bool],
    ) -> None:
        """While `busy` returns True, because runs are in progress, nothing is sent."""
        self._ledger = ledger
        self._open_tracker = open_tracker
        self._pause = pause
        self._stop = stop
        self._busy = busy
        self._tracker: Tracker | None = None
        self._thread = Thread(target=self._work, name="mlflow", daemon=True)
        self.problem = ""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def _work(self) -> None:
        while not self._stop.wait(self._pause):
            try:
                while not self._stop.is_set() and not self._busy() and self.send_pending():
                    pass
                self.problem = ""
            except Exception as error:  # any tracker error: keep the entries and retry
                self.problem = f"{type(error).__name__}: {error}"[:300]
                _log.warning("mlflow_retrying", problem=self.problem)

    def send_pending(self) -> int:
        """Send pending entries; returns how many there were."""
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
