"""The thread that empties the ledger's outbox into a mirror, whenever the mirror lets it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from typing import Any, Protocol

from services.retraining.ledger.ledger import Ledger
from shared.observability.logs import get_logger

_log = get_logger(__name__)


class Mirror(Protocol):
    """What is told about runs and releases."""

    def tell(self, entry: dict[str, Any]) -> None:
        """Take one entry; may raise anything, the entry then comes again."""


class OutboxFeeder:
    """Feeds a mirror. `open_mirror` may be slow and may fail; it is tried again after `pause` seconds."""

    def __init__(
        self,
        ledger: Ledger,
        open_mirror: Callable[[], Mirror],
        *,
        pause: float,
        stop: Event,
        busy: Callable[[], bool],
    ) -> None:
        """`busy` says that runs are at work: the mirror waits then, for it must never slow them."""
        self._ledger = ledger
        self._open_mirror = open_mirror
        self._pause = pause
        self._stop = stop
        self._busy = busy
        self._mirror: Mirror | None = None
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
                _log.warning("mirror_retrying", problem=self.problem)

    def feed(self) -> int:
        """Pass on what is waiting; how many entries went through."""
        entries = self._ledger.unsent()
        if not entries:
            return 0
        if self._mirror is None:
            self._mirror = self._open_mirror()
        for entry in entries:
            self._mirror.tell(entry)
            self._ledger.mark_sent([entry["id"]])
            if self._stop.is_set() or self._busy():
                break
        return len(entries)
