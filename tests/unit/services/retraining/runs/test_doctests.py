"""The examples in the docstrings of the gate's formulas run and hold."""

from __future__ import annotations

import doctest

from services.retraining.runs import gate


def test_gate_formulas_match_their_examples() -> None:
    result = doctest.testmod(gate)
    assert result.attempted >= 12
    assert result.failed == 0
