"""Suspicions between their alarm and their conclusion; shared by the thread that reads and the one that examines."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Event, Lock

from services.drift.stream_monitor.suspicion import Suspicion
from shared.observability.logs import get_logger

_log = get_logger(__name__)
# While the lake or a store is unavailable; each generation has at most a few per window.
KEPT = 1000


class PendingSuspicions:
    """In the order of their alarms, each once; at most `kept`, the oldest is given up. Thread-safe."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._lock = Lock()
        self._pending: dict[str, Suspicion] = {}
        self.added = Event()

    def add(self, suspicions: Iterable[Suspicion]) -> None:
        """Add suspicions, and set `added`."""
        with self._lock:
            for suspicion in suspicions:
                self._pending.setdefault(suspicion.subject.verdict_id, suspicion)
            while len(self._pending) > self._kept:
                oldest = next(iter(self._pending))
                del self._pending[oldest]
                _log.error("suspicion_given_up", cause_id=oldest)
        self.added.set()

    def remove(self, suspicion: Suspicion) -> None:
        """Remove one that has its conclusion."""
        with self._lock:
            self._pending.pop(suspicion.subject.verdict_id, None)

    def all(self) -> tuple[Suspicion, ...]:
        """Those that are pending."""
        with self._lock:
            return tuple(self._pending.values())
