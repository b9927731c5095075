"""Slices are judged inside the alarm budget of performance, from the lake to the verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from services.drift.evaluation.classify import Subject
from services.drift.evaluation.columns import Rows, rows_from_table
from services.drift.evaluation.evaluator import Evaluator
from services.drift.evaluation.reference_profile import Reference, build_reference
from services.drift.evaluation.slice_performance import measured_metrics, slice_scores
from services.drift.windows import Span
from shared.contracts.slices.slice_spec import slices_of
from shared.contracts.verdict import MetricValue, Verdict
from tests.unit.services.drift.distances import ScipyDistances
from tests.unit.services.drift.installation import Installation
from tests.unit.services.drift.world import loop, minutes, ordinary

SPEC = loop(
    metrics=["auc", "log_loss"], slices=[{"feature": "c"}, {"where": "x > 0 or x is missing", "name": "high"}]
)


def spoiled(rows: int, seed: int, value: str) -> dict[str, object]:
    """Rows whose outcomes are turned round where c is `value`."""
    columns = ordinary(rows, seed)
    outcome = np.asarray(columns["outcome"])
    return columns | {"outcome": np.where(np.asarray(columns["c"]) == value, 1 - outcome, outcome)}


def reference(rows: int = 5000) -> Reference:
    table = pa.table(ordinary(rows, 1))
    slices = slices_of(SPEC.slices, SPEC.features, table)
    return build_reference("ab" * 32, SPEC, rows_from_table(table, SPEC, slices=slices), None, slices)


def window(columns: dict[str, object], of: Reference) -> Rows:
    return rows_from_table(pa.table(columns), SPEC, slices=of.slices)


def test_a_slice_that_changed_exceeds_and_no_other() -> None:
    base = reference()
    scores = slice_scores(window(spoiled(3000, 2, "d"), base), base, 0.001)
    assert [(one.slice, one.exceeded) for one in scores] == [
        ("c=a", False),
        ("c=b", False),
        ("c=d", True),
        ("high", True),
    ]
    calm = slice_scores(window(ordinary(3000, 3), base), base, 0.001)
    assert [one.slice for one in calm if one.exceeded] == []
    assert {one.method for one in calm} == {"log_loss"}


def test_false_alarms_of_slices_stay_within_alpha() -> None:
    base = reference()
    alarms = [
        any(one.exceeded for one in slice_scores(window(ordinary(1500, seed), base), base, 0.01))
        for seed in range(100, 160)
    ]
    assert np.mean(alarms) <= 4 * 0.01 + 2 * np.sqrt(0.04 / 60)


def test_a_slice_with_too_few_rows_has_no_score_and_no_value() -> None:
    base = reference()
    few = window(ordinary(300, 4), base)
    assert "c=d" not in {one.slice for one in slice_scores(few, base, 0.01)}
    [metric] = [one for one in measured_metrics(few, base) if (one.slice, one.name) == ("c=d", "auc")]
    assert (metric.value, metric.outcomes < 100) == (None, True)
    assert metric.reference is not None


@pytest.mark.parametrize(("in_reference", "in_window"), [(5000, 450), (450, 3000)])
def test_a_slice_is_judged_from_the_least_number_of_outcomes_on(in_reference: int, in_window: int) -> None:
    """Of 450 rows, some 90 have c = d, and `drift.window.minimum_rows` is 100."""
    base = reference(in_reference)
    turned = window(spoiled(in_window, 2, "d"), base)
    assert turned.slices["c=d"].sum() >= 80
    assert [one.slice for one in slice_scores(turned, base, 0.2)] == ["c=a", "c=b", "high"]


def test_the_loss_of_a_slice_is_there_once_and_its_metrics_beside_it() -> None:
    base = reference()
    found = measured_metrics(window(ordinary(3000, 5), base), base)
    assert [(one.slice, one.name) for one in found][:4] == [
        ("", "auc"),
        ("", "log_loss"),
        ("c=a", "log_loss"),
        ("c=a", "auc"),
    ]
    assert len(found) == 2 * (1 + len(base.slices))


def test_slices_of_the_reference_are_those_that_were_held_out_of_the_training() -> None:
    base = reference()
    until = int(base.rows.event_time[2500])
    half = replace(base, loss_rows="held out", trained_until=until)
    assert half.slice_losses["c=a"].rows < 0.6 * base.slice_losses["c=a"].rows


def test_custom_metrics_are_means_in_window_slice_and_reference() -> None:
    cases = [{"where": "score > 0.5 and outcome == 0", "value": 1.0, "times": "x"}]
    spec = loop(
        custom_metrics=[{"name": "cost", "cases": cases, "otherwise": 0.5}], slices=[{"feature": "c"}]
    )
    table = pa.table(ordinary(3000, 1))
    slices = slices_of(spec.slices, spec.features, table)
    base = build_reference("ab" * 32, spec, rows_from_table(table, spec, slices=slices), None, slices)
    columns = ordinary(3000, 2)
    found = measured_metrics(rows_from_table(pa.table(columns), spec, slices=slices), base)
    score, outcome, x, c = (np.asarray(columns[name]) for name in ("score", "outcome", "x", "c"))
    expected = np.where((score > 0.5) & (outcome == 0), np.float32(x).astype(float), 0.5)
    counts = np.isfinite(expected)
    costs = {one.slice: one for one in found if one.name == "cost"}
    assert costs[""].value == pytest.approx(expected[counts].mean(), rel=1e-6)
    assert costs["c=a"].value == pytest.approx(expected[counts & (c == "a")].mean(), rel=1e-6)
    assert costs[""].reference != costs[""].value
    assert costs[""].outcomes == 3000


@pytest.fixture
def judged(installation: Installation) -> list[Verdict]:
    manifest = installation.world.version(SPEC, ordinary(5000, 1))
    installation.world.release(manifest)
    # The first hour is calm; in the second, outcomes of c = a are turned round.
    columns = {name: list(values) for name, values in ordinary(720, 2).items()}  # type: ignore[call-overload]
    outcomes = [
        1 - one if place >= 360 and level == "a" else one
        for place, (one, level) in enumerate(zip(columns["outcome"], columns["c"], strict=True))
    ]
    installation.world.answer(manifest, 1, columns | {"outcome": outcomes})
    last = {name: list(values) for name, values in ordinary(720, 3).items()}  # type: ignore[call-overload]
    shift = columns["event_time"][-1] - last["event_time"][0]
    last["event_time"] = [one + shift for one in last["event_time"]]
    installation.world.answer(manifest, 1, last)
    return installation.judged()


def test_a_verdict_names_the_slice_and_holds_the_metrics(
    judged: list[Verdict], installation: Installation
) -> None:
    calm, spoilt = judged[:2]
    assert calm.state == "ok"
    assert (spoilt.state, spoilt.drifted) == ("drift", ("performance",))
    assert "c=a" in [score.slice for score in spoilt.scores if score.exceeded]
    assert "log_loss of slice c=a" in spoilt.explanation
    auc = {(one.name, one.slice): one for one in spoilt.metrics}[("auc", "c=a")]
    assert isinstance(auc, MetricValue)
    assert auc.value is not None
    assert auc.reference is not None
    assert auc.value < 0.5 < auc.reference
    assert Verdict.model_validate_json(spoilt.model_dump_json()) == spoilt
    sample = installation.metrics.registry.get_sample_value
    labels = {"model": "toy", "metric": "log_loss", "slice": "c=a"}
    assert sample("homeostat_drift_performance_metric", labels) is not None
    assert sample("homeostat_drift_reference_performance_metric", labels) is not None
    shown = {"model": "toy", "signal": "performance", "feature": "", "method": "log_loss", "slice": "c=a"}
    assert sample("homeostat_drift_score", shown) is not None


def test_slices_take_their_alarms_from_those_of_the_window() -> None:
    columns = pa.table(ordinary(720, 6))
    limits = {}
    for spec in (SPEC, loop()):
        table = pa.table(ordinary(5000, 1))
        slices = slices_of(spec.slices, spec.features, table)
        base = build_reference("ab" * 32, spec, rows_from_table(table, spec, slices=slices), None, slices)
        subject = Subject("toy", base.version, 1, "performance", Span(minutes(0), minutes(60)))
        found = Evaluator(ScipyDistances()).evaluate(
            subject, rows_from_table(columns, spec, slices=slices), base
        )
        [limits[bool(slices)]] = [
            one.threshold for one in found.scores if one.signal == "performance" and not one.slice
        ]
    assert limits[True] > limits[False]
