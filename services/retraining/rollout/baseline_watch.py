"""The thread that holds each newest judged window against the first version. Nothing waits for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Condition, Event, Thread, get_native_id

from services.retraining.ledger_gauges import set_or_remove
from services.retraining.metrics import RetrainingMetrics
from services.retraining.rollout.baseline_comparison import (
    Comparison,
    FirstVersion,
    compare_with_first,
    first_version,
)
from shared.contracts.verdict import Verdict
from shared.errors import DependencyUnavailable, HomeostatError
from shared.models.keys import Keys
from shared.observability.logs import get_logger, log_unknown_error
from shared.stores.lake import Lake
from shared.stores.model_store import ModelStore

_log = get_logger(__name__)

MAX_ROWS = 20_000
_NICENESS = 10
_PAUSE = 30.0


class BaselineWatch:
    """Compares, model by model, the newest verdict that is waiting; an older one is forgotten when a newer one comes.

    Of the loop's own verdicts with a realised loss only: a stretch that a person asked about is not the newest of anything.
    What cannot be compared has no number, rather than an old one; why is logged once.

    Kafka tells a verdict to one of several services only, and all show these figures: while nothing waits, each looks in the
    ledger for what another one received.
    """

    def __init__(
        self,
        store: ModelStore,
        lake: Lake,
        keys: Keys,
        metrics: RetrainingMetrics,
        remembered: Callable[[], list[Verdict]],
        stop: Event,
        *,
        max_rows: int = MAX_ROWS,
        pause: float = _PAUSE,
    ) -> None:
        """`remembered` gives each model's newest judged verdict in the ledger: received before a restart, or by another service.

        `pause` is the time in seconds between two looks there, and until what is away is asked again.
        """
        self._store = store
        self._lake = lake
        self._keys = keys
        self._metrics = metrics
        self._remembered = remembered
        self._stop = stop
        self._max_rows = max_rows
        self._pause = pause
        self._changed = Condition()
        self._waiting: dict[str, Verdict] = {}
        self._done: dict[str, Verdict] = {}
        self._found: dict[str, Comparison] = {}
        self._loaded: dict[str, FirstVersion] = {}
        self._problems: dict[str, str] = {}
        self._thread = Thread(target=self._work, name="frozen", daemon=True)

    def start(self) -> None:
        """Begin, with what the ledger remembers."""
        self._thread.start()

    def wake(self) -> None:
        """`stop` was set: end soon. Not waited for, since what it does may be lost."""
        with self._changed:
            self._changed.notify()

    def observe(self, verdict: Verdict) -> None:
        """A verdict came; returns at once."""
        if verdict.detector != "evaluation" or verdict.loss is None or not verdict.outcomes:
            return
        with self._changed:
            known = self._waiting.get(verdict.model) or self._done.get(verdict.model)
            if known is None or known.window_end < verdict.window_end:
                self._waiting[verdict.model] = verdict
                self._changed.notify()

    def found(self) -> Mapping[str, Comparison]:
        """The newest comparison of each model that has one."""
        return dict(self._found)

    def compare_once(self) -> bool:
        """Take the next waiting verdict; False where none waits. Raises where a store or the lake is away: it waits on then."""
        with self._changed:
            if not self._waiting:
                return False
            model = next(iter(self._waiting))
            verdict = self._waiting.pop(model)
            before = self._done.get(model)
            self._done[model] = verdict
        try:
            comparison = self._compare(verdict)
        except (DependencyUnavailable, OSError):
            with self._changed:
                self._waiting.setdefault(model, verdict)
                if before is None:
                    del self._done[model]
                else:
                    self._done[model] = before
            raise
        self._show(model, comparison)
        return True

    def _compare(self, verdict: Verdict) -> Comparison | None:
        model = verdict.model
        try:
            if model not in self._loaded:
                self._loaded[model] = first_version(self._store, self._keys, model)
            served = self._store.manifest(model, verdict.version).loop
            compared = compare_with_first(
                self._lake, self._loaded[model], served, verdict, max_rows=self._max_rows
            )
        except (DependencyUnavailable, OSError):
            raise
        except HomeostatError as error:
            self._note(model, str(error))
            return None
        except Exception as error:
            if self._problems.get(model) != type(error).__name__:
                log_unknown_error(_log, error)
            self._problems[model] = type(error).__name__
            return None
        self._problems.pop(model, None)
        return compared

    def _note(self, model: str, problem: str) -> None:
        if self._problems.get(model) != problem:
            _log.warning("baseline_loss_unavailable", model=model, problem=problem)
        self._problems[model] = problem

    def _show(self, model: str, compared: Comparison | None) -> None:
        if compared is None:
            self._found.pop(model, None)
        else:
            self._found[model] = compared
        set_or_remove(self._metrics.baseline_loss, (model,), compared.baseline_loss if compared else None)
        set_or_remove(self._metrics.served_loss, (model,), compared.served_loss if compared else None)

    def _work(self) -> None:
        # This thread alone steps back: on Linux a priority belongs to a thread, and decisions share the processor with it.
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, get_native_id(), _NICENESS)
        while not self._stop.is_set():
            try:
                if self.compare_once():
                    continue
                for verdict in self._remembered():
                    self.observe(verdict)
                with self._changed:
                    if not self._waiting and not self._stop.is_set():
                        self._changed.wait(self._pause)
            except (HomeostatError, OSError) as error:
                self._note("", str(error))
                self._stop.wait(self._pause)
            except Exception as error:
                log_unknown_error(_log, error)
                self._stop.wait(self._pause)
