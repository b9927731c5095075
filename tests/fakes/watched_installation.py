"""A release that is watched: a former version, the version released after it, and the rows that each answered."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from services.retraining.ledger.engine import open_engine
from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.watches import Watch
from services.retraining.metrics import RetrainingMetrics
from services.retraining.rollout.release_watch import ReleaseWatch
from services.retraining.rollout.releaser import Releaser
from shared.contracts.release import Release
from shared.grafana.annotator import NoAnnotator
from tests.fakes.in_process_models import open_in_process
from tests.fakes.retraining_installation import (
    MODEL,
    START,
    Installation,
    fill_lake,
    make_installation,
    package_poor_champion,
)

# Blocks of two hours, 48 rows each; outcomes are due after two hours.
WATCH = timedelta(hours=56)
RELEASED_AT = START + timedelta(days=2)
PER_HOUR = 24


@dataclass
class Watched:
    """`slope`: of the released version; the outcome follows slope 2, the former version has `former_slope`."""

    installation: Installation
    ledger: Ledger
    metrics: RetrainingMetrics
    annotated: list[str]
    now: datetime = RELEASED_AT
    verified: int = 0

    @property
    def releaser(self) -> Releaser:
        annotator = NoAnnotator(self.annotated.append, "annotated")
        return Releaser(self.installation.store, self.ledger, self.metrics, annotator, lambda: self.now)

    def watcher(self, **changes: Any) -> ReleaseWatch:
        """A new process's watcher on the same stores."""
        made = self.installation
        parts: dict[str, Any] = {
            "store": made.store,
            "lake": made.lake,
            "keys": made.keys,
            "watches": self.ledger.watches,
            "releaser": self.releaser,
            "metrics": self.metrics,
            "clock": lambda: self.now,
            "open_model": open_in_process,
            "verify": self._verify,
        }
        return ReleaseWatch(**{**parts, **changes})

    def look(self, hours: float, **changes: Any) -> Watch | None:
        """Look `hours` after the release."""
        self.now = RELEASED_AT + timedelta(hours=hours)
        return self.watcher(**changes).look(MODEL)

    def log(self) -> list[tuple[int, str, str]]:
        """Generation, reason and actor of every release."""
        return [
            (entry.generation, entry.reason, entry.actor) for entry in self.installation.store.releases(MODEL)
        ]

    def answer(self, hours: float, slope: float, **more: Any) -> None:
        """Rows of generation 2 from the release on, answered with `slope`."""
        fill_lake(
            self.installation.lake, RELEASED_AT, hours / 24, PER_HOUR, 11, generation=2, slope=slope, **more
        )

    def _verify(self, _: str, __: str) -> None:
        self.verified += 1


@contextmanager
def watched(
    root: Path,
    *,
    slope: float,
    former_slope: float = 2.0,
    reason: Literal["promotion", "deployment"] = "promotion",
    **changes: Any,
) -> Iterator[Watched]:
    """Version `slope` was released after version `former_slope`, which had answered for two days; it has answered nothing yet."""
    made = make_installation(
        root,
        days=2,
        per_hour=PER_HOUR,
        **{"rollout": {"watch": f"{WATCH // timedelta(hours=1)}h"}, **changes},
    )
    versions = [
        package_poor_champion(root, made.spec, made.store, made.keys, slope=one)
        for one in (former_slope, slope)
    ]
    for generation, version in enumerate(versions, 1):
        made.store.add_release(
            Release(
                model=MODEL,
                generation=generation,
                version=version,
                reason="deployment" if generation == 1 else reason,
                actor="loop" if generation == 2 else "ann",
                run_id="run-1" if generation == 2 else "",
                released_at=START if generation == 1 else RELEASED_AT,
            )
        )
    ledger = Ledger(open_engine(f"sqlite:///{root / 'ledger.sqlite'}"))
    try:
        yield Watched(made, ledger, RetrainingMetrics(), [])
    finally:
        ledger.close()


def delete_version(one: Watched, version: str) -> None:
    """As an operator may do by mistake."""
    shutil.rmtree(one.installation.home / "models" / MODEL / "versions" / version)
