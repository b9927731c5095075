from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from scipy.signal import lfilter

from services.drift.evaluation import evaluator
from services.drift.evaluation.classify import Measurements, Subject, classify
from services.drift.evaluation.columns import Rows, rows_from_table
from services.drift.evaluation.evaluator import Evaluator
from services.drift.evaluation.evidently_adapter import Sample
from services.drift.evaluation.reference_profile import Reference, build_reference
from services.drift.windows import Span
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.verdict import Verdict
from tests.fakes.class_model import TABLE, class_loop
from tests.fakes.vector_model import values_loop
from tests.unit.services.drift.distances import ScipyDistances
from tests.unit.services.drift.evaluation.scored_rows import probability_rows, realised_auc
from tests.unit.services.drift.world import loop, minutes, ordinary

VERSION = "ab" * 32
Noise = Callable[[int], npt.NDArray[np.float64]]
WIDE = {"x": "number", "y": "number", "z": "number", "five": 5, "twenty": 20, "hundred": 100}
ROWS, REFERENCE = 1000, 10000


def wide_loop(false_alarms: float, minimum_effect: float = 0.0) -> LoopSpec:
    features: list[dict[str, object]] = []
    for name, kind in WIDE.items():
        if isinstance(kind, int):
            features.append(
                {"name": name, "type": "category", "values": [str(level) for level in range(kind)]}
            )
        else:
            features.append({"name": name, "type": "number"})
    drift = {
        "window": {"every": "1h", "minimum_rows": 100},
        "false_alarms_per_30_days": false_alarms,
        "minimum_effect": minimum_effect,
        "loss_increase": 0.0,
    }
    return loop(features=features, drift=drift)


def wide_rows(
    rows: int, random: np.random.Generator, correlation: float, spec: LoopSpec, shift: float = 0.0
) -> Rows:
    """A stationary world; numbers and categories come from series whose neighbours correlate."""

    def noise() -> npt.NDArray[np.float64]:
        shocks = random.normal(size=rows + 100) * np.sqrt(1 - correlation**2)
        series: npt.NDArray[np.float64] = lfilter([1], [1, -correlation], shocks)[100:]
        return series

    columns: dict[str, object] = {"x": noise() + shift, "y": np.exp(noise()), "z": np.round(noise(), 1)}
    for name, kind in WIDE.items():
        if isinstance(kind, int):
            level = np.floor(kind * 0.5 * (1 + np.tanh(noise() / 2))).astype(int)
            columns[name] = np.array([str(number) for number in range(kind + 1)], dtype=object)[level]
    score = 1 / (1 + np.exp(1 - noise()))
    columns |= {"score": score, "outcome": (random.random(rows) < score).astype(float)}
    times = np.datetime64(minutes(0).replace(tzinfo=None), "us") + np.arange(rows) * np.timedelta64(
        3600, "ms"
    )
    table = pa.table({"event_time": pa.array(times).cast(pa.timestamp("us", "UTC")), **columns})
    return rows_from_table(table, spec)


def subject(place: int = 0) -> Subject:
    span = Span(minutes(60 * place), minutes(60 * (place + 1)))
    return Subject("toy", VERSION, 1, "request", span)


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_the_alarm_budget_is_kept_in_worlds_without_drift(correlation: float) -> None:
    # 36 false alarms in 30 days of hourly windows: at most 1 in 20 windows may alarm.
    spec = wide_loop(36)
    random = np.random.default_rng(int(correlation * 10) + 1)
    alarms = 0
    for world in range(6):
        reference = build_reference(VERSION, spec, wide_rows(REFERENCE, random, correlation, spec))
        for place in range(15):
            window = wide_rows(ROWS, random, correlation, spec)
            measurements = Evaluator(ScipyDistances(), max_rows=ROWS).evaluate(
                subject(world * 15 + place), window, reference
            )
            alarms += any(score.exceeded for score in measurements.scores)
    # 4.5 expected of 90; the chance of more than 12 at one in 20 is below one in a thousand.
    assert alarms <= 12


def test_the_control_alarms_evidently_defaults_do_not_know_sizes() -> None:
    spec = wide_loop(36)
    random = np.random.default_rng(1)
    reference = wide_rows(REFERENCE, random, 0.0, spec)
    alarms = 0
    for _ in range(20):
        window = wide_rows(ROWS, random, 0.0, spec)
        distances = [
            ScipyDistances().distance(Sample(name, "category", window.columns[name], reference.columns[name]))
            for name in ("five", "twenty", "hundred")
        ]
        alarms += any(distance is not None and distance >= 0.1 for distance in distances)
    assert alarms >= 19


def test_a_shift_of_a_quarter_of_a_deviation_in_one_column_is_found() -> None:
    spec = wide_loop(1)
    random = np.random.default_rng(7)
    reference = build_reference(VERSION, spec, wide_rows(REFERENCE, random, 0.0, spec))
    found = 0
    for place in range(20):
        window = wide_rows(ROWS, random, 0.0, spec, shift=0.25)
        verdict = classify(
            subject(place),
            Evaluator(ScipyDistances()).evaluate(subject(place), window, reference),
            minutes(0),
        )
        found += verdict.top_drifted_features == ("x",)
    assert found >= 18


def test_a_shift_below_the_least_effect_is_not_worth_an_alarm() -> None:
    spec = wide_loop(1, minimum_effect=0.3)
    random = np.random.default_rng(8)
    reference = build_reference(VERSION, spec, wide_rows(REFERENCE, random, 0.0, spec))
    window = wide_rows(20000, random, 0.0, spec, shift=0.25)
    measurements = Evaluator(ScipyDistances()).evaluate(subject(), window, reference)
    assert not any(score.exceeded for score in measurements.scores)


class Counting(ScipyDistances):
    """Remembers how many rows it was given."""

    def __init__(self) -> None:
        self.sizes: set[tuple[int, int]] = set()

    def distance(self, sample: Sample) -> float | None:
        self.sizes.add((sample.window.size, sample.reference.size))
        return super().distance(sample)


def test_evidently_is_given_a_sample_and_the_threshold_knows_it() -> None:
    spec, random = wide_loop(1), np.random.default_rng(9)
    reference = build_reference(VERSION, spec, wide_rows(REFERENCE, random, 0.0, spec))
    window = wide_rows(4000, random, 0.0, spec)
    few, all_rows = Counting(), Counting()
    rough = Evaluator(few, max_rows=500).evaluate(subject(), window, reference)
    fine = Evaluator(all_rows, max_rows=REFERENCE).evaluate(subject(), window, reference)
    assert few.sizes == {(500, 500)}
    assert all_rows.sizes == {(4000, REFERENCE)}
    thresholds = [
        next(score.threshold for score in measurements.scores if score.method == "wasserstein")
        for measurements in (rough, fine)
    ]
    assert thresholds[0] > 2 * thresholds[1]


# Single verdicts in the small world of two features


def judged(
    columns: dict[str, object], reference: dict[str, object] | None = None, spec: LoopSpec | None = None
) -> Verdict:
    spec = spec or loop()
    measurements = measured(columns, reference, spec)
    return classify(subject(), measurements, minutes(0))


def measured(columns: dict[str, object], reference: dict[str, object] | None, spec: LoopSpec) -> Measurements:
    held = against(reference if reference is not None else ordinary(5000, 1), spec)
    return Evaluator(ScipyDistances()).evaluate(subject(), rows_from_table(pa.table(columns), spec), held)


def against(columns: dict[str, object], spec: LoopSpec) -> Reference:
    return build_reference(VERSION, spec, rows_from_table(pa.table(columns), spec))


@pytest.mark.parametrize(
    ("later", "rows"), [(0, "all"), (99, "all"), (100, "held out"), (101, "held out"), (5000, "held out")]
)
def test_the_reference_loss_is_of_rows_held_out_where_there_are_enough(later: int, rows: str) -> None:
    spec = loop()
    columns = ordinary(5000, 1)
    columns["score"] = [*np.asarray(columns["outcome"])[: 5000 - later], *[0.5] * later]
    reference = rows_from_table(pa.table(columns), spec)
    trained_until = minutes(0) + timedelta(seconds=10) * (5000 - later - 1)
    built = build_reference(VERSION, spec, reference, trained_until)
    assert built.loss is not None
    assert built.loss_rows == rows
    assert built.loss.rows == (later if rows == "held out" else 5000)
    if rows == "held out":
        assert built.loss.value == pytest.approx(np.log(2))
    assert len(built.rows) == 5000


def test_a_calm_window_is_ok() -> None:
    verdict = judged(ordinary(1000, 2))
    assert (verdict.state, verdict.rows, verdict.outcomes) == ("ok", 1000, 1000)


def test_spoiled_outcomes_are_performance_drift_alone() -> None:
    verdict = judged(ordinary(1000, 2, flip=0.4))
    assert (verdict.state, verdict.drifted, verdict.top_drifted_features) == ("drift", ("performance",), ())


@pytest.mark.parametrize("known", [1, 2])
def test_where_the_reference_gives_no_limit_there_is_no_score(known: int) -> None:
    reference = ordinary(5000, 1)
    reference["outcome"] = [1.0 if place < known else None for place in range(5000)]
    verdict = judged(ordinary(1000, 2, flip=0.4), reference)
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict
    assert [score.method for score in verdict.scores if score.signal == "performance"] == ["log_loss"] * (
        known - 1
    )
    assert verdict.loss is not None


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_numbers_beyond_every_unit_cost_no_verdict() -> None:
    spec = loop(
        features=[{"name": "x", "type": "number"}], prediction={"kind": "value"}, metric={"name": "rmse"}
    )
    columns = ordinary(1000, 2)
    columns["x"] = np.where(np.arange(1000) % 2, 1e308, -1e308)
    columns["outcome"] = np.where(np.arange(1000) % 2, 1e308, 0.0)
    for window, reference in ((columns, ordinary(5000, 1)), (ordinary(1000, 2), columns), (columns, columns)):
        verdict = judged(window, reference, spec)
        assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_a_moved_feature_is_feature_drift_alone() -> None:
    verdict = judged(ordinary(1000, 2, shift=0.8))
    assert (verdict.state, verdict.drifted, verdict.top_drifted_features) == ("drift", ("feature",), ("x",))


def test_moved_scores_are_prediction_drift() -> None:
    columns = ordinary(1000, 2)
    columns["score"] = np.clip(np.asarray(columns["score"]) + 0.3, 0, 1)
    columns["outcome"] = [None] * 1000
    assert judged(columns).drifted == ("prediction",)


def test_a_category_absent_from_the_reference_is_drift_not_fault() -> None:
    columns = ordinary(1000, 2)
    columns["c"] = np.where(np.arange(1000) % 4 == 0, "e", np.asarray(columns["c"]))
    verdict = judged(columns)
    assert (verdict.state, verdict.top_drifted_features) == ("drift", ("c",))
    assert {score.method for score in verdict.scores if score.exceeded} == {
        "jensenshannon",
        "new_category_share",
    }


def test_broken_data_beat_drift() -> None:
    columns = ordinary(1000, 2, shift=0.8, flip=0.4)
    columns["c"] = [
        None if place % 3 == 0 else value for place, value in enumerate(np.asarray(columns["c"]).tolist())
    ]
    verdict = judged(columns)
    assert (verdict.state, verdict.drifted, verdict.top_drifted_features) == ("data_fault", (), ("c",))


def test_the_floor_counts_whatever_the_reference() -> None:
    spec = loop(metric={"name": "log_loss", "floor": 0.4})
    verdict = judged(ordinary(1000, 2), spec=spec)
    assert [score.method for score in verdict.scores if score.exceeded] == ["log_loss_floor"]


NAN = [float("nan")] * 500
DEGENERATE: dict[str, dict[str, object]] = {
    "constant column": {"x": np.full(500, 1.0)},
    "all missing": {"x": NAN, "c": pa.array([None] * 500, pa.string())},
    "one category": {"c": ["a"] * 500},
    "scores that are no numbers": {"score": NAN},
    "outcomes that are no numbers": {"outcome": NAN},
    "infinite values": {"x": [float("inf"), float("-inf")] * 250},
    "one instant": {"event_time": [minutes(0)] * 500},
    "huge values": {"x": np.full(500, 3e38)},
}


@pytest.mark.parametrize("side", ["window", "reference", "both"])
@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_columns_end_in_a_state(name: str, side: str) -> None:
    calm, odd = ordinary(500, 3), ordinary(500, 4) | DEGENERATE[name]
    verdict = judged(calm if side == "reference" else odd, calm if side == "window" else odd)
    assert verdict.state in ("ok", "drift", "data_fault", "insufficient_data")
    assert all(np.isfinite((score.value, score.threshold)).all() for score in verdict.scores)


@pytest.mark.parametrize(
    ("rows", "reference", "state"),
    [
        (0, 5000, "insufficient_data"),
        (99, 5000, "insufficient_data"),
        (500, 0, "warming_up"),
        (500, 99, "warming_up"),
    ],
)
def test_too_little_on_either_side_ends_in_a_state(rows: int, reference: int, state: str) -> None:
    columns = {name: pa.array(list(values), kinds()[name]) for name, values in ordinary(rows, 2).items()}  # type: ignore[call-overload]
    before = {name: pa.array(list(values), kinds()[name]) for name, values in ordinary(reference, 1).items()}  # type: ignore[call-overload]
    verdict = judged(columns, before)
    assert (verdict.state, verdict.scores) == (state, ())


def kinds() -> dict[str, pa.DataType]:
    number = pa.float64()
    return {
        "event_time": pa.timestamp("us", tz="UTC"),
        "x": number,
        "c": pa.string(),
        "score": number,
        "outcome": number,
    }


def test_a_model_that_answers_tensors_is_never_judged_by_loss() -> None:
    spec = loop(prediction={"kind": "tensor"}, metric={"name": "mae"})
    columns = ordinary(500, 2) | {"score": [None] * 500, "outcome": [None] * 500}
    reference = ordinary(5000, 1) | {"score": [None] * 5000}
    verdict = judged(columns, reference, spec)
    assert (verdict.state, verdict.loss) == ("ok", None)


CLASS_DRIFT = {"window": {"every": "1h", "minimum_rows": 100}, "loss_increase": 0.02}


def class_rows(
    rows: int, seed: int, spec: LoopSpec, *, shares: tuple[float, ...], wrong: float = 0.0
) -> Rows:
    """A world where line i is asked with its share, and the outcome is drawn from its probabilities, or is `wrong`."""
    random = np.random.default_rng(seed)
    lines = random.choice(3, rows, p=shares)
    outcomes = np.array([random.choice(3, p=TABLE[line]) for line in lines])
    outcomes = np.where(random.random(rows) < wrong, (outcomes + 1) % 3, outcomes)
    names = np.array(spec.prediction.label_texts)
    columns = {"line": lines, "label": names[lines], "scores": list(TABLE[lines]), "outcome": names[outcomes]}
    step = timedelta(seconds=3.6)
    return rows_from_table(
        pa.table({"event_time": [minutes(0) + step * place for place in range(rows)], **columns}), spec
    )


@pytest.mark.parametrize("metric", ["log_loss", "error_rate"])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"shares": (0.4, 0.3, 0.3)}, ()),
        ({"shares": (0.0, 0.5, 0.5)}, ("feature", "prediction")),
        ({"shares": (0.4, 0.3, 0.3), "wrong": 0.5}, ("performance",)),
    ],
)
def test_labels_and_losses_of_classes_are_measured(
    metric: str, changes: dict[str, Any], expected: tuple[str, ...]
) -> None:
    spec = class_loop(drift=CLASS_DRIFT, metric={"name": metric})
    reference = build_reference(VERSION, spec, class_rows(4000, 1, spec, shares=(0.4, 0.3, 0.3)))
    window = class_rows(1000, 2, spec, **changes)
    measured = Evaluator(ScipyDistances()).evaluate(subject(), window, reference)
    exceeded = {score.signal for score in measured.scores if score.exceeded}
    assert exceeded - {"data"} == set(expected)
    assert [score.method for score in measured.scores if score.signal == "prediction"] == ["jensenshannon"]
    assert [score.method for score in measured.scores if score.signal == "performance"] == [metric]
    assert (measured.outcomes, measured.loss_expected) == (1000, True)


def value_rows(rows: int, seed: int, spec: LoopSpec, *, shift: float = 0.0, wrong: float = 0.0) -> Rows:
    """Answers around a line of numbers; `shift` moves the middle one with its outcome, `wrong` all outcomes."""
    random = np.random.default_rng(seed)
    answers = random.normal([0.0, shift, 0.0], size=(rows, 3))
    outcomes = answers + random.normal(size=(rows, 3)) + wrong
    columns = {
        "line": random.integers(0, 3, rows),
        "scores": list(answers.astype(np.float32)),
        "outcome": [dict(zip(spec.prediction.names, row, strict=True)) for row in outcomes.tolist()],
    }
    step = timedelta(seconds=3.6)
    return rows_from_table(
        pa.table({"event_time": [minutes(0) + step * place for place in range(rows)], **columns}), spec
    )


@pytest.mark.parametrize("metric", ["mae", "rmse"])
@pytest.mark.parametrize(
    ("changes", "expected", "above"),
    [
        ({}, (), []),
        ({"shift": 2.0}, ("prediction",), ["wasserstein.mid"]),
        ({"wrong": 2.0}, ("performance",), []),
    ],
)
def test_each_of_several_values_and_their_loss_are_measured(
    metric: str, changes: dict[str, float], expected: tuple[str, ...], above: list[str]
) -> None:
    spec = values_loop(drift=CLASS_DRIFT, metric={"name": metric})
    reference = build_reference(VERSION, spec, value_rows(4000, 1, spec))
    window = value_rows(1000, 2, spec, **changes)
    measured = Evaluator(ScipyDistances()).evaluate(subject(), window, reference)
    assert {score.signal for score in measured.scores if score.exceeded} == set(expected)
    found = [score for score in measured.scores if score.signal == "prediction"]
    assert [score.method for score in found] == [f"wasserstein.{name}" for name in spec.prediction.names]
    assert [score.method for score in found if score.exceeded] == above
    assert [score.method for score in measured.scores if score.signal == "performance"] == [metric]
    assert (measured.outcomes, measured.loss_expected) == (1000, True)


SHOPS = [-10_000_000, -2_000_000, 1_000]


def timed_rows(spec: LoopSpec, start: float, seed: int, *, wrong: float = 0.0) -> Rows:
    """A thousand rows from `start` (in minutes) on, an hour each hundred: orders of the last hour, shops opened long ago.

    `wrong`: the share of orders with a default date instead of a time.
    """
    random = np.random.default_rng(seed)
    happened = start + np.arange(1000) * 0.6
    ordered = np.where(random.random(1000) < wrong, -30_000_000, happened - random.uniform(1, 60, 1000))
    shops = random.choice(SHOPS, 1000)
    score = random.random(1000)
    table = pa.table(
        {
            "event_time": list(map(minutes, happened)),
            "ordered": list(map(minutes, ordered)),
            "opened": [minutes(float(shop)) for shop in shops],
            "score": score,
            "outcome": (random.random(1000) < score).astype(float),
        }
    )
    return rows_from_table(table, spec)


def test_time_that_moves_forward_is_no_drift() -> None:
    features = [{"name": "ordered", "type": "timestamp"}, {"name": "opened", "type": "timestamp"}]
    spec = loop(features=features)
    reference = build_reference(VERSION, spec, timed_rows(spec, 0, seed=1))

    def drifted(window: Rows) -> set[str]:
        measurements = Evaluator(ScipyDistances()).evaluate(subject(), window, reference)
        return {
            score.feature for score in measurements.scores if score.exceeded and score.signal != "performance"
        }

    for year in range(1, 6):
        assert drifted(timed_rows(spec, year * 525_600, seed=year + 1)) == set()
    scores = Evaluator(ScipyDistances()).evaluate(subject(), timed_rows(spec, 600, seed=8), reference).scores
    assert sorted(score.method for score in scores if score.feature == "opened") in (
        ["constant_share", "constant_share.age", "missing_share", distance]
        for distance in ("wasserstein", "wasserstein.age")
    )
    # A few default dates among the orders are found.
    assert drifted(timed_rows(spec, 600, seed=9, wrong=0.02)) == {"ordered"}


def score_table() -> pa.Table:
    times = [minutes(place) for place in range(400)]
    scores = np.arange(400) / 400
    return pa.table({"event_time": times, "line": [0] * 400, "score": scores, "outcome": scores})


def test_several_values_share_the_false_alarms_of_a_prediction() -> None:
    one = class_loop(model="one", prediction={"kind": "value"}, metric={"name": "mae"}, drift=CLASS_DRIFT)
    three = values_loop(drift=CLASS_DRIFT)
    single = rows_from_table(score_table(), one)
    references = (
        build_reference(VERSION, one, single),
        build_reference(VERSION, three, value_rows(400, 1, three)),
    )
    rates = [evaluator._false_alarm_rates(subject(), reference) for reference in references]
    assert rates[1].prediction == pytest.approx(rates[0].prediction / 3)
    assert rates[1].performance == rates[0].performance


def _measured(spec: LoopSpec, window: Rows, reference_rows: Rows) -> Measurements:
    reference = build_reference(VERSION, spec, reference_rows)
    subject = Subject("toy", VERSION, 1, "inputs", Span(minutes(0), minutes(60)))
    return Evaluator(ScipyDistances()).evaluate(subject, window, reference)


def test_estimated_performance_drifts_before_outcomes_are_known() -> None:
    reference = probability_rows(4000, 1)
    # Calm; then rows of which the model is unsure.
    for shift, spread, drifted in ((0.0, 1.0, False), (0.67, 0.3, True)):
        window = probability_rows(2000, 2, shift=shift, spread=spread)
        unknown = np.full(2000, np.nan)
        found = _measured(loop(), replace(window, outcome=unknown, loss=unknown), reference)
        [score] = [score for score in found.scores if score.signal == "estimated_performance"]
        assert score.method == "estimated_log_loss"
        assert score.exceeded is drifted
        assert score.value == found.estimated_loss == pytest.approx(window.loss.mean(), abs=0.03)
        assert found.estimated_auc == pytest.approx(realised_auc(window), abs=0.03)
        assert found.loss is None


def test_small_references_give_no_estimate() -> None:
    found = _measured(loop(), probability_rows(500, 2), probability_rows(150, 1))
    assert found.estimated_loss is None
    assert "estimated_performance" not in {score.signal for score in found.scores}


def test_drift_of_a_feature_that_is_not_watched_is_not_measured() -> None:
    spec = loop(
        features=[
            {"name": "x", "type": "number", "nullable": True, "watch": False, "minimum": -50, "maximum": 50},
            {"name": "c", "type": "category", "values": ["a", "b", "d"]},
        ]
    )
    window = probability_rows(500, 2, shift=5.0)
    measured = _measured(spec, window, probability_rows(1000, 1))
    assert "x" not in {score.feature for score in measured.scores if score.signal == "feature"}
    assert "x" in {score.feature for score in measured.scores if score.signal == "data"}
    missing = replace(window, columns={**window.columns, "x": np.full(500, np.nan)})
    faults = [score for score in _measured(spec, missing, probability_rows(1000, 1)).scores if score.exceeded]
    assert ("data", "x") in {(score.signal, score.feature) for score in faults}


def test_the_chosen_method_is_the_scores_method() -> None:
    spec = loop(drift={"window": {"every": "1h", "minimum_rows": 100}, "methods": {"number": "hellinger"}})
    measured = _measured(spec, probability_rows(500, 2, shift=2.0), probability_rows(1000, 1))
    [score] = [score for score in measured.scores if score.feature == "x" and score.signal == "feature"]
    assert score.method == "hellinger"
    assert score.exceeded


@pytest.mark.parametrize("error", [np.inf, np.nan])
def test_estimate_of_unknown_error_is_not_stated(error: float) -> None:
    """A number without its error says nothing, so neither it nor its area under the curve is in the verdict."""
    reference = build_reference(VERSION, loop(), probability_rows(1000, 1))
    sure: Any = reference.estimator
    assert sure is not None

    class Unsure:
        def estimate(self, rows: Rows) -> Any:
            return replace(sure.estimate(rows), error=error)

    reference.__dict__["estimator"] = Unsure()  # where the cached property keeps it
    subject = Subject("toy", VERSION, 1, "inputs", Span(minutes(0), minutes(60)))
    found = Evaluator(ScipyDistances()).evaluate(subject, probability_rows(500, 2), reference)
    assert (found.estimated_loss, found.estimated_auc) == (None, None)
    assert "estimated_performance" not in {score.signal for score in found.scores}
