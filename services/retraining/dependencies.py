"""Dependencies of the controller and the pipeline: stores, keys, launcher and clock. `bootstrap.py` creates them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from services.retraining.isolated_models import OpenModel
from services.retraining.launchers.launcher import Launcher
from services.retraining.ledger.ledger import Ledger
from services.retraining.metrics import RetrainingMetrics
from services.retraining.rollout.release_annotations import Annotator
from services.retraining.rollout.releaser import Releaser
from services.retraining.settings import RetrainingSettings
from shared.grafana.annotator import NoAnnotator
from shared.models.signed_versions.installation_keys import Keys
from shared.stores.lake import Lake
from shared.stores.model_store import ModelStore


@dataclass(frozen=True)
class Dependencies:
    """Dependencies of the controller and of the pipeline steps."""

    ledger: Ledger
    store: ModelStore
    lake: Lake
    keys: Keys
    launcher: Launcher
    open_model: OpenModel
    runs: Path
    settings: RetrainingSettings
    metrics: RetrainingMetrics
    clock: Callable[[], datetime]
    annotator: Annotator = field(default_factory=NoAnnotator)

    @property
    def releaser(self) -> Releaser:
        """The only writer of the release log, using these stores."""
        return Releaser(self.store, self.ledger, self.metrics, self.annotator, self.clock, self.gate_url)

    def gate_url(self, run_id: str) -> str:
        """The page of a run's gate result, of the console or of this service."""
        settings = self.settings
        base = settings.pages_url.rstrip("/") or f"http://{settings.host}:{settings.port}"
        return f"{base}/runs/{run_id}/gate"
