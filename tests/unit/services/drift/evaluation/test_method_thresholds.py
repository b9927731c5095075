"""Thresholds of chosen methods: closed form or replay, tolerance, and replays that are kept."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from services.drift.evaluation.columns import columns_of, rows_from_table
from services.drift.evaluation.evidently_adapter import Sample
from services.drift.evaluation.method_thresholds import MethodThresholds, method_of
from services.drift.evaluation.reference_profile import Reference, build_reference
from services.drift.thresholds.calibration import Sizes, distance_threshold
from shared.contracts.loop_spec import LoopSpec
from tests.unit.services.drift.distances import ScipyDistances
from tests.unit.services.drift.world import loop, ordinary

FEATURES = [
    {"name": "x", "type": "number", "nullable": True, "method": "ks"},
    {"name": "c", "type": "category", "values": ["a", "b", "d"]},
]
SIZES = Sizes(window=400, window_sampled=400, reference=3000, reference_sampled=3000, expected=400)


@dataclass
class Methods:
    """Kolmogorov-Smirnov's distance beside the default methods; counts its calls."""

    calls: list[str] = field(default_factory=list)

    def distance(self, sample: Sample) -> float | None:
        self.calls.append(sample.chosen)
        if sample.chosen != "ks":
            return ScipyDistances().distance(sample)
        return float(-np.log10(stats.ks_2samp(sample.window, sample.reference).pvalue))


def reference_of(spec: LoopSpec, rows: int = 3000) -> Reference:
    return build_reference("ab" * 32, spec, rows_from_table(pa.table(ordinary(rows, 1)), spec))


def pair(shift: float) -> Sample:
    random = np.random.default_rng(2)
    return Sample("x", "numeric", random.normal(shift, 1, 400), random.normal(size=3000), method="ks")


def test_methods_by_kind_and_by_feature() -> None:
    spec = loop(features=FEATURES, drift={"window": {"every": "1h"}, "methods": {"category": "psi"}})
    x, c = columns_of(spec)
    assert method_of(spec.drift, "numeric", x) == "ks"
    assert method_of(spec.drift, "category", c) == "psi"
    assert method_of(spec.drift, "numeric") == "wasserstein"


def test_default_methods_have_the_closed_form() -> None:
    reference, methods = reference_of(loop()), Methods()
    found = MethodThresholds(methods, 5000).threshold(
        replace(pair(0), method=""), 0.2, reference, SIZES, 0.01
    )
    assert found == distance_threshold(reference.baselines["x"], SIZES, 0.01) + 0.1
    assert methods.calls == []


def test_chosen_methods_are_replayed_once() -> None:
    reference, methods = reference_of(loop(features=FEATURES)), Methods()
    thresholds = MethodThresholds(methods, 5000)
    first = thresholds.threshold(pair(1), 99.0, reference, SIZES, 0.001)
    assert first is not None
    assert 2 < first < 10  # a p-value of 0.001 is 3; the older rows are fewer than the whole reference
    replays = methods.calls.count("ks")
    assert thresholds.threshold(pair(1), 99.0, reference, replace(SIZES, window_sampled=390), 0.001) == first
    assert methods.calls.count("ks") == replays
    thresholds.threshold(pair(1), 99.0, reference, replace(SIZES, window_sampled=4000), 0.001)
    assert methods.calls.count("ks") == 2 * replays


def test_a_certain_but_small_change_does_not_exceed() -> None:
    """With many rows a p-value shows any change: the tolerance of the default distance counts, too."""
    thresholds, reference = MethodThresholds(Methods(), 5000), reference_of(loop(features=FEATURES))
    assert thresholds.threshold(pair(0.01), 50.0, reference, SIZES, 0.001) == 50.0
    large = thresholds.threshold(pair(1.0), 50.0, reference, SIZES, 0.001)
    assert large is not None
    assert large < 50.0


@pytest.mark.parametrize("rows", [100, 120])
def test_short_references_have_no_threshold(rows: int) -> None:
    reference = reference_of(loop(features=FEATURES), rows)
    assert MethodThresholds(Methods(), 5000).threshold(pair(1), 9.0, reference, SIZES, 0.01) is None
