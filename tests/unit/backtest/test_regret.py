from __future__ import annotations

import numpy as np
import pytest

from backtest.regret import Candidate, best_in_hindsight, distinct
from shared.contracts.retraining_spec import Costs


def test_rows_are_costed_and_models_serve_from_their_first_row() -> None:
    frozen = Candidate("a", 0, np.array([1.0, 1.0, 4.0, 4.0, 4.0]))
    early = Candidate("b", 2, np.array([0.0, 0.0, 3.0, 1.0, 1.0]))
    late = Candidate("c", 3, np.array([0.0, 0.0, 0.0, 0.5, 0.5]))
    best = best_in_hindsight([frozen, early, late], Costs(training=3, loss=2))
    # Frozen 28; early 2 * 7 + 3 = 17; late 2 * 7 + 3 = 17; both 2 * 6 + 6 = 18. What saves nothing is left out.
    assert best.cost == pytest.approx(17)
    assert len(best.models) == 2
    assert best_in_hindsight([frozen, early, late], Costs(training=0, loss=2)).cost == pytest.approx(12)


def test_a_model_counts_once_from_its_earliest_row_on() -> None:
    losses = np.zeros(9)
    found = distinct([Candidate(*one, losses) for one in (("a", 0), ("b", 7), ("c", 5), ("b", 3))])
    assert [(one.digest, one.first) for one in found] == [("a", 0), ("b", 3), ("c", 5)]
