"""What metrics are computed from: answers and outcomes of rows, reduced to what every metric needs of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from shared.models.losses import Floats, Scores, row_losses


@dataclass(frozen=True)
class Answered:
    """Answers and outcomes by row, NaN where one is missing.

    `scores`: the number of a probability or value, [N]; of several values, [N, K]; of classes the probability of the most
    probable one, [N], since all of a thousand would need more memory than what is measured. `outcomes` alike; of classes the
    place of the label, below 0 for an unknown one. `predicted`: of classes the place of the most probable one. `of_rows`: what
    each row adds to the mean of a metric, of classes and of `custom_metrics` of loop.yaml; NaN where it does not count.
    """

    scores: Floats
    outcomes: Floats
    predicted: Floats | None = None
    of_rows: Mapping[str, Floats] = field(default_factory=dict)

    def take(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Answered:
        """These rows."""
        return replace(
            self,
            scores=self.scores[rows],
            outcomes=self.outcomes[rows],
            predicted=None if self.predicted is None else self.predicted[rows],
            of_rows={name: values[rows] for name, values in self.of_rows.items()},
        )

    def known(self) -> Answered:
        """The rows with an answer and an outcome."""
        known = np.isfinite(self.scores) & np.isfinite(self.outcomes)
        return self.take(np.flatnonzero(known if known.ndim == 1 else known.all(axis=1)))

    def __len__(self) -> int:
        return len(self.scores)


def answered(scores: Scores, outcomes: Floats) -> Answered:
    """From answers and outcomes as `row_losses` takes them.

    >>> of = answered(np.array([[0.7, 0.3], [0.4, 0.6]]), np.array([0.0, np.nan]))
    >>> of.scores, of.predicted, of.of_rows["brier"].round(2)  # (0.3² + 0.3²) of the first row
    (array([0.7, 0.6]), array([0., 1.]), array([0.18,  nan]))
    """
    if scores.ndim == 1 or outcomes.ndim == 2:
        return Answered(np.asarray(scores, dtype=np.float64), outcomes)
    best = scores.argmax(axis=1)
    top = np.take_along_axis(scores, best[:, None], axis=1)[:, 0].astype(np.float64)
    return Answered(
        top,
        outcomes,
        np.where(np.isfinite(top), best, np.nan),
        {"log_loss": row_losses("log_loss", scores, outcomes), "brier": _brier(scores, outcomes)},
    )


def _brier(probabilities: Scores, outcomes: Floats) -> Floats:
    """Σ (p - y)² over the classes (Brier 1950): Σ p² - 2 p_true + 1. A label that the model lacks has probability 0."""
    known = outcomes >= 0
    true = np.take_along_axis(probabilities, np.where(known, outcomes, 0).astype(np.intp)[:, None], axis=1)[
        :, 0
    ]
    squares = np.einsum("ij,ij->i", probabilities, probabilities, dtype=np.float64)
    found: Floats = squares - 2 * np.where(known, true, 0.0) + 1
    return np.where(np.isnan(outcomes), np.nan, found)
