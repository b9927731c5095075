"""Marks in Grafana what the loop does. Whoever calls `annotate` goes on at once, whatever becomes of Grafana.

    annotator = make_annotator(url, token, user, password, on_result)
    annotator.annotate("drift: …", ["homeostat", "drift", "model:flights"], at)
    annotator.close(timeout_s=2.0)

Every annotation taken comes to exactly one result, given to `on_result`:

    sent      Grafana has it
    refused   Grafana does not take it, or the login or URL is wrong: trying again would not help
    dropped   the queue was full, Grafana failed at it too often, or the service ended before Grafana came back
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from threading import Condition, Thread
from typing import Protocol

from shared.errors import DependencyUnavailable, HomeostatError
from shared.grafana.access import GrafanaAccess, access_from
from shared.grafana.interface import Annotation, GrafanaUnsure
from shared.observability.logs import get_logger
from shared.settings import HomeostatSettings

_log = get_logger(__name__)

CAPACITY = 1000
# Seconds between tries while Grafana is away; the last one repeats for as long as it takes.
PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0)
# Tries at one annotation over which Grafana itself stumbles, so that it cannot hold up the others for ever.
UNSURE_TRIES = 5
SENT, DROPPED, REFUSED = "sent", "dropped", "refused"

OnResult = Callable[[str], None]


class Annotations(Protocol):
    """The part of `GrafanaPort` that annotations need."""

    def add_annotation(self, annotation: Annotation) -> None: ...

    def has_annotation(self, annotation: Annotation) -> bool: ...


class NoAnnotator:
    """Annotates nothing: no Grafana is named. With a `result`, each annotation counts as that."""

    def __init__(self, on_result: OnResult | None = None, result: str = "") -> None:
        self._on_result = on_result
        self._result = result

    def annotate(self, text: str, tags: Sequence[str], at: datetime | None = None) -> None:
        """Do nothing."""
        if self._on_result is not None:
            _tell(self._on_result, self._result)

    def close(self, timeout_s: float = 0.0) -> None:
        """Nothing to end."""


class Annotator:
    """Writes annotations from a daemon thread, in order, from a queue of `capacity`.

    `grafana` may hang or raise whatever it likes. What Grafana cannot have got is sent again after pauses; where it may have it
    already, it is asked first, so that a mark does not stand there twice.
    """

    def __init__(
        self,
        grafana: Annotations,
        on_result: OnResult,
        *,
        capacity: int = CAPACITY,
        pauses: Sequence[float] = PAUSES,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._grafana = grafana
        self._on_result = on_result
        self._capacity = capacity
        self._pauses = pauses
        self._now = now
        self._waiting: deque[Annotation] = (
            deque()
        )  # the one being written stays at its head until its result is known
        self._changed = Condition()
        self._closing = False
        self._closed = False
        self._trouble = ""
        self._thread = Thread(target=self._run, name="grafana-annotator", daemon=True)
        self._thread.start()

    def annotate(self, text: str, tags: Sequence[str], at: datetime | None = None) -> None:
        """Have `text` marked at `at` (default: now) with `tags`. Never blocks on Grafana and never raises."""
        try:
            annotation = Annotation(text, tuple(tags), at or self._now())
            with self._changed:
                room = not self._closing and len(self._waiting) < self._capacity
                if room:
                    self._waiting.append(annotation)
                    self._changed.notify()
            if not room:
                self._note("the queue is full" if not self._closing else "the annotator is closed")
                _tell(self._on_result, DROPPED)
        except Exception as error:
            _log.error("annotation_lost", error=type(error).__name__)

    def close(self, timeout_s: float = 2.0) -> None:
        """Give what waits one more try each, for at most `timeout_s`; what is left then is dropped. Safe to call twice."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout_s)
        with self._changed:
            left = 0 if self._closed else len(self._waiting)
            self._closed = True
            self._waiting.clear()
        for _ in range(left):
            _tell(self._on_result, DROPPED)
        if left:
            _log.warning("annotations_dropped", count=left, error=self._trouble or "the service ended")

    def _run(self) -> None:
        while (annotation := self._next()) is not None:
            result = self._write(annotation)
            with self._changed:
                if self._closed:  # `close` no longer waited and has counted this one
                    return
                self._waiting.popleft()
            _tell(self._on_result, result)

    def _next(self) -> Annotation | None:
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            return self._waiting[0] if self._waiting else None

    def _write(self, annotation: Annotation) -> str:
        """1. Where an earlier try may have got through: ask. 2. Write. 3. Away: pause, and from the start."""
        perhaps_there = False
        unsure = tries = 0
        while True:
            try:
                if not (perhaps_there and self._grafana.has_annotation(annotation)):
                    self._grafana.add_annotation(annotation)
                self._note("")
                return SENT
            except DependencyUnavailable as error:
                self._note(error.message)
                if isinstance(error, GrafanaUnsure):
                    perhaps_there = True
                    unsure += 1
                if unsure >= UNSURE_TRIES or not self._pause(tries):
                    return DROPPED
                tries += 1
            except HomeostatError as error:
                self._note(error.message)
                # Whether it is there cannot be found out, and a second mark would tell of an event that never was.
                return DROPPED if perhaps_there else REFUSED
            except Exception as error:
                # Its text may hold anything, also what we sent.
                self._note(f"unexpected {type(error).__name__}")
                return DROPPED

    def _pause(self, tries: int) -> bool:
        """Wait before the next try; False when there is to be none, because the service ends."""
        end = time.monotonic() + self._pauses[min(tries, len(self._pauses) - 1)]
        with self._changed:
            while not self._closing and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
            return not self._closing

    def _note(self, trouble: str) -> None:
        """Log what changes, once: a Grafana that is away for a night is one line, not thousands."""
        if trouble and trouble != self._trouble:
            _log.warning("annotations_wait_or_fail", error=trouble)
        elif self._trouble and not trouble:
            _log.info("annotations_written_again")
        self._trouble = trouble


def make_annotator(
    url: str, token: str, user: str, password: str, on_result: OnResult
) -> Annotator | NoAnnotator:
    """The annotator for a Grafana; one that does nothing when `url` is empty. `on_result` hears sent, dropped or refused.

    Never raises: with a URL or login that cannot work the service goes on, the log says so once, and each annotation counts as
    refused.
    """
    if not url:
        return NoAnnotator()
    try:
        return _annotator(GrafanaAccess(url, token.strip(), user, password), on_result)
    except HomeostatError as error:
        return _refusing(error, on_result)


def annotator_from(settings: HomeostatSettings, on_result: OnResult) -> Annotator | NoAnnotator:
    """`make_annotator` for what the settings say, with the secrets read from their files where they lie there."""
    if not settings.grafana_url:
        return NoAnnotator()
    try:
        return _annotator(access_from(settings), on_result)
    except HomeostatError as error:
        return _refusing(error, on_result)


def _annotator(access: GrafanaAccess, on_result: OnResult) -> Annotator:
    from shared.grafana.client import GrafanaClient  # its library is loaded only where there is a Grafana

    return Annotator(GrafanaClient(access), on_result)


def _refusing(error: HomeostatError, on_result: OnResult) -> NoAnnotator:
    _log.error("annotations_refused", error=error.message, hint=error.hint)
    return NoAnnotator(on_result, REFUSED)


def _tell(on_result: OnResult, result: str) -> None:
    try:
        on_result(result)
    except Exception as error:
        _log.error("annotation_result_lost", result=result, error=type(error).__name__)
