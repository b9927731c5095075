"""What retraining works with: the stores, the keys, the launcher, and the clock; `bootstrap.py` chooses them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from services.retraining.launchers.launcher import Launcher
from services.retraining.ledger.ledger import Ledger
from services.retraining.metrics import RetrainingMetrics
from services.retraining.rollout.annotations import Annotator
from services.retraining.rollout.releaser import Releaser
from services.retraining.settings import RetrainingSettings
from shared.grafana.annotations import NoAnnotator
from shared.models.keys import Keys
from shared.stores.lake import Lake
from shared.stores.model_store import ModelStore


@dataclass(frozen=True)
class Dependencies:
    """What the controller and the steps of runs work with."""

    ledger: Ledger
    store: ModelStore
    lake: Lake
    keys: Keys
    launcher: Launcher
    runs: Path
    settings: RetrainingSettings
    metrics: RetrainingMetrics
    clock: Callable[[], datetime]
    annotator: Annotator = field(default_factory=NoAnnotator)

    @property
    def releaser(self) -> Releaser:
        """The one writer of the release log, with these stores."""
        return Releaser(self.store, self.ledger, self.metrics, self.annotator, self.clock)
