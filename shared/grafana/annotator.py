"""Writes annotations to Grafana from a background thread; `annotate` never blocks and never raises.

    annotator = make_annotator(url, token, user, password, on_result)
    annotator.annotate("drift: …", ["homeostat", "drift", "model:flights"], at)
    annotator.close(timeout_s=2.0)

Every annotation gets exactly one result, passed to `on_result`:

    sent      Grafana accepted it
    refused   Grafana rejected it, or the credentials or URL are wrong; a retry would not help
    dropped   the queue was full, Grafana failed too often, or the service stopped while Grafana was unavailable
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
from shared.grafana.interface import Annotation, GrafanaOutcomeUnknown
from shared.observability.logs import get_logger
from shared.settings import HomeostatSettings

_log = get_logger(__name__)

CAPACITY = 1000
# Seconds between retries while Grafana is unavailable; the last one repeats.
PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0)
# Attempts with an unknown outcome for one annotation, so that it cannot block the others.
MAX_UNKNOWN_OUTCOMES = 5
SENT, DROPPED, REFUSED = "sent", "dropped", "refused"

OnResult = Callable[[str], None]


class Annotations(Protocol):
    """The operations of `GrafanaInterface` used for annotations."""

    def add_annotation(self, annotation: Annotation) -> None: ...

    def has_annotation(self, annotation: Annotation) -> bool: ...


class NoAnnotator:
    """Writes no annotations, because no Grafana is configured. With a `result`, each annotation is counted as that."""

    def __init__(self, on_result: OnResult | None = None, result: str = "") -> None:
        self._on_result = on_result
        self._result = result

    def annotate(self, text: str, tags: Sequence[str], at: datetime | None = None) -> None:
        """Do nothing."""
        if self._on_result is not None:
            _report(self._on_result, self._result)

    def close(self, timeout_s: float = 0.0) -> None:
        """Do nothing."""


class Annotator:
    """Writes annotations from a daemon thread, in order, from a queue of `capacity`.

    `grafana` may hang or raise any exception. Failed requests are retried after a pause; if the outcome is unknown, the annotator
    first checks whether the annotation exists, to avoid duplicates.
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
        self._queue: deque[Annotation] = (
            deque()
        )  # the annotation being written stays at the head until its result is known
        self._changed = Condition()
        self._closing = False
        self._closed = False
        self._problem = ""
        self._thread = Thread(target=self._run, name="grafana-annotator", daemon=True)
        self._thread.start()

    def annotate(self, text: str, tags: Sequence[str], at: datetime | None = None) -> None:
        """Queue an annotation with `text` and `tags` at `at` (default: now). Never blocks on Grafana and never raises."""
        try:
            annotation = Annotation(text, tuple(tags), at or self._now())
            with self._changed:
                room = not self._closing and len(self._queue) < self._capacity
                if room:
                    self._queue.append(annotation)
                    self._changed.notify()
            if not room:
                self._note("the queue is full" if not self._closing else "the annotator is closed")
                _report(self._on_result, DROPPED)
        except Exception as error:
            _log.error("annotation_lost", error=type(error).__name__)

    def close(self, timeout_s: float = 2.0) -> None:
        """Try each queued annotation once more, for at most `timeout_s`, then drop the rest. Safe to call twice."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout_s)
        with self._changed:
            left = 0 if self._closed else len(self._queue)
            self._closed = True
            self._queue.clear()
        for _ in range(left):
            _report(self._on_result, DROPPED)
        if left:
            _log.warning("annotations_dropped", count=left, error=self._problem or "the service stopped")

    def _run(self) -> None:
        while (annotation := self._next()) is not None:
            result = self._write(annotation)
            with self._changed:
                if self._closed:  # `close` has timed out and counted this one
                    return
                self._queue.popleft()
            _report(self._on_result, result)

    def _next(self) -> Annotation | None:
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            return self._queue[0] if self._queue else None

    def _write(self, annotation: Annotation) -> str:
        """1. After an unknown outcome, check whether it exists. 2. Write it. 3. If Grafana is unavailable, pause and repeat."""
        may_exist = False
        unknown = tries = 0
        while True:
            try:
                if not (may_exist and self._grafana.has_annotation(annotation)):
                    self._grafana.add_annotation(annotation)
                self._note("")
                return SENT
            except DependencyUnavailable as error:
                self._note(error.message)
                if isinstance(error, GrafanaOutcomeUnknown):
                    may_exist = True
                    unknown += 1
                if unknown >= MAX_UNKNOWN_OUTCOMES or not self._pause(tries):
                    return DROPPED
                tries += 1
            except HomeostatError as error:
                self._note(error.message)
                # It cannot be checked whether it exists, and a duplicate would show an event that did not happen.
                return DROPPED if may_exist else REFUSED
            except Exception as error:
                # The message may contain what we sent.
                self._note(f"unexpected {type(error).__name__}")
                return DROPPED

    def _pause(self, tries: int) -> bool:
        """Wait before the next attempt; False if the service is stopping."""
        end = time.monotonic() + self._pauses[min(tries, len(self._pauses) - 1)]
        with self._changed:
            while not self._closing and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
            return not self._closing

    def _note(self, problem: str) -> None:
        """Log changes only: an outage of Grafana is one line."""
        if problem and problem != self._problem:
            _log.warning("annotations_failing", error=problem)
        elif self._problem and not problem:
            _log.info("annotations_resumed")
        self._problem = problem


def make_annotator(
    url: str, token: str, user: str, password: str, on_result: OnResult
) -> Annotator | NoAnnotator:
    """The annotator for a Grafana; one that does nothing when `url` is empty. `on_result` receives sent, dropped or refused.

    Never raises: with an invalid URL or credentials the error is logged once and each annotation counts as refused.
    """
    if not url:
        return NoAnnotator()
    try:
        return _annotator(GrafanaAccess(url, token.strip(), user, password), on_result)
    except HomeostatError as error:
        return _refusing(error, on_result)


def annotator_from(settings: HomeostatSettings, on_result: OnResult) -> Annotator | NoAnnotator:
    """`make_annotator` from the settings, reading secrets from their files."""
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


def _report(on_result: OnResult, result: str) -> None:
    try:
        on_result(result)
    except Exception as error:
        _log.error("annotation_result_lost", result=result, error=type(error).__name__)
