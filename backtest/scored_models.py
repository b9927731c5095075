"""The answers and losses of every model on the replayed rows; each model is scored once."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from backtest.history import History
from services.retraining.isolated_models import OpenModel
from shared.contracts.loop_spec import LoopSpec
from shared.models.answers import read_outcomes
from shared.models.losses import Floats, Scores, row_losses


@dataclass(frozen=True)
class ScoredModel:
    """`digest` of the model's file. `scores`, `losses` (0 where no outcome is known): of the rows from the first served one."""

    digest: str
    scores: Scores
    losses: Floats


class ScoredModels:
    """Scores models on the rows from number `first` on."""

    def __init__(self, history: History, loop: LoopSpec, first: int, open_model: OpenModel) -> None:
        self._loop = loop
        self._rows = history.rows.slice(first)
        self._outcomes = read_outcomes(loop.prediction, self._rows["outcome"])
        self._open_model = open_model
        self._known: dict[str, ScoredModel] = {}
        outcomes = self._outcomes if self._outcomes.ndim == 1 else self._outcomes.sum(axis=1)
        self.has_outcome = np.isfinite(outcomes)

    def of(self, model: Path) -> ScoredModel:
        """Answers and losses of a model file. Raises UnservableModel."""
        digest = sha256(model.read_bytes()).hexdigest()
        if digest not in self._known:
            with self._open_model(model, self._loop, "the model was scored for the back-test") as opened:
                scores = opened.score(self._rows)
            losses = row_losses(self._loop.require_performance().metric.name, scores, self._outcomes)
            self._known[digest] = ScoredModel(digest, scores, np.where(self.has_outcome, losses, 0.0))
        return self._known[digest]
