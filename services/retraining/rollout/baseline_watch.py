"""A background thread that compares the newest evaluated window with the first version."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from threading import Condition, Event, Thread, get_native_id

from services.retraining.isolated_models import OpenModel
from services.retraining.ledger_gauges import set_or_remove
from services.retraining.metrics import RetrainingMetrics
from services.retraining.rollout.baseline_comparison import (
    BaselineComparison,
    compare_with_first,
    first_version,
)
from shared.contracts.verdict import Verdict
from shared.errors import DependencyUnavailable, HomeostatError
from shared.models.signed_versions.installation_keys import Keys
from shared.observability.logs import get_logger, log_unknown_error
from shared.stores.lake import Lake
from shared.stores.model_store import ModelStore

_log = get_logger(__name__)

MAX_ROWS = 20_000
_NICENESS = 10
_PAUSE = 30.0


def _order(verdict: Verdict) -> tuple[datetime, int]:
    return verdict.window_end, verdict.revision


class BaselineWatch:
    """Compares per model the newest pending verdict; a newer verdict replaces an older pending one.

    Uses scheduled verdicts with a realised loss only: a window that a person requested may be old. A window that cannot be
    compared has no value instead of a stale one; the problem is logged once.

    Kafka delivers a verdict to one of several services, and all expose these metrics: while nothing is pending, each service
    reads the ledger for verdicts that another one received.
    """

    def __init__(
        self,
        store: ModelStore,
        lake: Lake,
        keys: Keys,
        metrics: RetrainingMetrics,
        latest_verdicts: Callable[[], list[Verdict]],
        stop: Event,
        *,
        open_model: OpenModel,
        max_rows: int = MAX_ROWS,
        pause: float = _PAUSE,
    ) -> None:
        """`latest_verdicts` reads each model's newest verdict with a loss from the ledger.

        `pause` is the number of seconds between these reads, and before a retry if a store is unavailable.
        """
        self._store = store
        self._lake = lake
        self._keys = keys
        self._metrics = metrics
        self._latest_verdicts = latest_verdicts
        self._stop = stop
        self._open_model = open_model
        self._max_rows = max_rows
        self._pause = pause
        self._changed = Condition()
        self._pending: dict[str, Verdict] = {}
        self._done: dict[str, Verdict] = {}
        self._comparisons: dict[str, BaselineComparison] = {}
        self._problems: dict[str, str] = {}
        self._thread = Thread(target=self._work, name="baseline", daemon=True)

    def start(self) -> None:
        """Start with the verdicts in the ledger."""
        self._thread.start()

    def wake(self) -> None:
        """`stop` was set: end soon. Nobody joins the thread: its work may be lost."""
        with self._changed:
            self._changed.notify()

    def observe(self, verdict: Verdict) -> None:
        """Add a verdict; returns at once."""
        if verdict.detector != "performance" or verdict.loss is None or not verdict.outcomes:
            return
        with self._changed:
            known = self._pending.get(verdict.model) or self._done.get(verdict.model)
            if known is None or _order(known) < _order(verdict):
                self._pending[verdict.model] = verdict
                self._changed.notify()

    def comparisons(self) -> Mapping[str, BaselineComparison]:
        """The newest comparison of each model that has one."""
        return dict(self._comparisons)

    def compare_once(self) -> bool:
        """Compare the next pending verdict; False if there is none. If a store is unavailable, raises and keeps it pending."""
        with self._changed:
            if not self._pending:
                return False
            model = next(iter(self._pending))
            verdict = self._pending.pop(model)
            before = self._done.get(model)
            self._done[model] = verdict
        try:
            comparison = self._compare(verdict)
        except (DependencyUnavailable, OSError):
            with self._changed:
                self._pending.setdefault(model, verdict)
                if before is None:
                    del self._done[model]
                else:
                    self._done[model] = before
            raise
        self._publish(model, comparison)
        return True

    def _compare(self, verdict: Verdict) -> BaselineComparison | None:
        model = verdict.model
        try:
            served = self._store.manifest(model, verdict.version).loop
            with first_version(self._store, self._keys, model, self._open_model) as first:
                compared = compare_with_first(self._lake, first, served, verdict, max_rows=self._max_rows)
        except (DependencyUnavailable, OSError):
            raise
        except HomeostatError as error:
            self._log_problem(model, str(error))
            return None
        except Exception as error:
            if self._problems.get(model) != type(error).__name__:
                log_unknown_error(_log, error)
            self._problems[model] = type(error).__name__
            return None
        self._problems.pop(model, None)
        return compared

    def _log_problem(self, model: str, problem: str) -> None:
        if self._problems.get(model) != problem:
            _log.warning("baseline_loss_unavailable", model=model, problem=problem)
        self._problems[model] = problem

    def _publish(self, model: str, compared: BaselineComparison | None) -> None:
        if compared is None:
            self._comparisons.pop(model, None)
        else:
            self._comparisons[model] = compared
        set_or_remove(self._metrics.baseline_loss, (model,), compared.baseline_loss if compared else None)
        set_or_remove(self._metrics.served_loss, (model,), compared.served_loss if compared else None)

    def _work(self) -> None:
        # Lower the priority of this thread only (Linux has a priority per thread), because decisions share the CPU.
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, get_native_id(), _NICENESS)
        while not self._stop.is_set():
            try:
                if self.compare_once():
                    continue
                for verdict in self._latest_verdicts():
                    self.observe(verdict)
                with self._changed:
                    if not self._pending and not self._stop.is_set():
                        self._changed.wait(self._pause)
            except (HomeostatError, OSError) as error:
                self._log_problem("", str(error))
                self._stop.wait(self._pause)
            except Exception as error:
                log_unknown_error(_log, error)
                self._stop.wait(self._pause)
