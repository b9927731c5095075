"""How long reports are kept: by number and age of each model, but as long as a person has to decide on their verdicts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event
from typing import Final

from shared.errors import HomeostatError
from shared.observability.logs import get_logger
from shared.stores.reports.report_store import KeptReport, ReportStore

PERIOD: Final = timedelta(hours=1)

_log = get_logger(__name__)


def expired(reports: Sequence[KeptReport], kept: int, oldest: datetime) -> list[KeptReport]:
    """Reports of one model that are beyond the newest `kept`, or were drawn before `oldest`; never the newest one.

    `reports`: the one drawn last first.
    """
    return [one for place, one in enumerate(reports) if place and _is_old(place, one, kept, oldest)]


def _is_old(place: int, report: KeptReport, kept: int, oldest: datetime) -> bool:
    return place >= kept or report.drawn_at < oldest


@dataclass
class ReportRetention:
    """`open_decisions`: verdicts that a person has still to decide on. While it raises, nothing is removed."""

    store: ReportStore
    kept: int
    age: timedelta
    open_decisions: Callable[[], Collection[str]]
    now: Callable[[], datetime]

    def apply(self, model: str) -> list[str]:
        """Remove the expired reports of a model; their ids. An error is logged: a later call removes them."""
        try:
            found = expired(self.store.reports(model), self.kept, self.now() - self.age)
            if not found:
                return []
            still_open = self.open_decisions()
            removed = [one.report_id for one in found if one.verdict_id not in still_open]
            self.store.remove(model, removed)
        except HomeostatError as error:
            _log.warning("reports_not_removed", model=model, error=error.message)
            return []
        return removed

    def remove_incomplete(self, model: str) -> None:
        """Remove what interrupted writes and removals of a model's reports have left. An error is logged."""
        try:
            self.store.remove(model, self.store.incomplete(model, self.now() - PERIOD))
        except HomeostatError as error:
            _log.warning("reports_not_removed", model=model, error=error.message)

    def run(self, stop: Event) -> None:
        """Apply it to all models every hour, since reports also age where none is drawn, and remove what is incomplete."""
        while True:
            try:
                models = self.store.models()
            except HomeostatError as error:
                _log.warning("reports_not_removed", error=error.message)
                models = []
            for model in models:
                self.apply(model)
                self.remove_incomplete(model)
            if stop.wait(PERIOD.total_seconds()):
                return
