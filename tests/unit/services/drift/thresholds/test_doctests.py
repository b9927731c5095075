"""The seeded examples in the docstrings of the statistics."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

MODULES = (
    "services.drift.thresholds.alarm_budget",
    "services.drift.thresholds.calibration",
    "services.drift.thresholds.null_distribution",
    "services.drift.evaluation.performance",
    "services.drift.evaluation.data_quality",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    results = doctest.testmod(import_module(name))
    assert (results.failed, results.attempted > 0) == (0, True)
