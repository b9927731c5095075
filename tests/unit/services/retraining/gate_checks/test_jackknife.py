"""The jackknife bound over blocks of time."""

from __future__ import annotations

import doctest
import math

import numpy as np

from services.retraining.gate_checks import jackknife
from services.retraining.gate_checks.jackknife import jackknife_lower


def test_one_block_has_no_bound() -> None:
    assert jackknife_lower(np.ones((1, 2)), lambda total: float(total[0]), 0.9) == -math.inf


def test_formulas_match_their_examples() -> None:
    assert doctest.testmod(jackknife).failed == 0
