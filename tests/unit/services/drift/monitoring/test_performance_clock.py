"""The clock of performance beside that of inputs: what each waits for, and that both judge the same windows."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from services.drift.monitoring.model_status import ModelStatus
from shared.contracts.manifest import Manifest
from shared.contracts.verdict import Verdict
from tests.unit.services.drift.installation import Installation
from tests.unit.services.drift.world import loop, minutes, ordinary

HOUR = 360  # rows: one every ten seconds
DAY = timedelta(days=1)
PER_DAY = 288  # rows: one every five minutes


def release(installation: Installation, **changes: object) -> Manifest:
    manifest = installation.world.version(loop(**changes), ordinary(5000, 1))
    installation.world.release(manifest)
    return manifest


def status(installation: Installation) -> ModelStatus:
    [found] = installation.monitor.statuses()
    return found


def windows(verdicts: list[Verdict]) -> list[tuple[object, object, int]]:
    ordered = sorted(verdicts, key=lambda verdict: verdict.window_end)  # a revision is stored last
    return [(verdict.window_start, verdict.window_end, verdict.generation) for verdict in ordered]


def test_null_feature_is_a_data_fault_when_its_window_closes(installation: Installation) -> None:
    """Outcomes take 30 days; the feature is reported as soon as the lake has one row after the window."""
    window = {"every": "1d", "minimum_rows": 100}
    manifest = release(installation, outcome={"delay": "30d"}, drift={"window": window})
    day = ordinary(PER_DAY, 2, step=timedelta(minutes=5)) | {"x": np.full(PER_DAY, np.nan)}
    installation.world.answer(manifest, 1, day, delay=None)
    assert installation.settle() == []
    installation.world.answer(manifest, 1, ordinary(1, 3, start=minutes(0) + DAY), delay=None)
    [verdict] = installation.settle()
    assert (verdict.detector, verdict.state, verdict.top_drifted_features) == ("inputs", "data_fault", ("x",))
    assert (verdict.outcomes, verdict.coverage, verdict.loss) == (0, None, None)
    shown = status(installation)
    assert shown.performance is not None
    assert (shown.state, shown.inputs.state, shown.performance.state) == (
        "data_fault",
        "data_fault",
        "warming_up",
    )
    assert (shown.performance.next_window_end, shown.performance.due_at) == (
        minutes(0) + DAY,
        minutes(0) + 31 * DAY,
    )


def test_inputs_do_not_wait_for_outcomes(installation: Installation) -> None:
    manifest = release(installation)
    installation.world.answer(manifest, 1, ordinary(HOUR + 1, 2))
    [inputs] = installation.settle()
    assert (inputs.detector, inputs.window_end) == ("inputs", minutes(60))
    installation.world.answer(manifest, 1, ordinary(HOUR, 3, start=minutes(61)))
    later = installation.settle()
    assert [(each.detector, each.window_end) for each in later[1:]] == [
        ("inputs", minutes(120)),
        ("performance", minutes(60)),
    ]


def test_each_clock_measures_its_own_signals(installation: Installation) -> None:
    manifest = release(installation)
    installation.world.answer(manifest, 1, ordinary(HOUR * 2, 2, shift=3.0, flip=0.4))
    inputs, performance = installation.judged("inputs"), installation.judged()
    measured = {"feature", "prediction", "estimated_performance", "data"}
    assert {score.signal for score in inputs[0].scores} == measured
    assert {score.signal for score in performance[0].scores} == {"performance", "data"}
    assert [score.method for score in performance[0].scores if score.signal == "data"] == [
        "contradicting_share"
    ]
    assert (inputs[0].drifted, performance[0].drifted) == (("feature",), ("performance",))
    assert (performance[0].coverage, performance[0].outcome_lag_seconds) == (1.0, 1200.0)


def test_faulty_inputs_make_performance_a_data_fault(installation: Installation) -> None:
    manifest = release(installation)
    faulty = ordinary(HOUR * 2, 2, flip=0.4) | {"x": np.full(HOUR * 2, np.nan)}
    installation.world.answer(manifest, 1, faulty)
    [verdict] = installation.judged()
    assert (verdict.state, verdict.drifted, verdict.top_drifted_features) == ("data_fault", (), ("x",))
    assert verdict.explanation.startswith("The inputs of this window are faulty")
    assert verdict.loss is not None


def test_request_agrees_with_both_clocks(installation: Installation) -> None:
    """Rows beyond the sample, so that a seed of its own would show."""
    installation.monitor.evaluation.evaluator = type(installation.monitor.evaluation.evaluator)(
        installation.monitor.evaluation.evaluator.distances, max_rows=200
    )
    manifest = release(installation)
    installation.world.answer(manifest, 1, ordinary(HOUR * 2, 2, shift=0.1))
    both = installation.judged("inputs")[0].scores + installation.judged()[0].scores
    asked, _ = installation.monitor.evaluate_now("toy", minutes(0), minutes(60))
    assert asked.scores == both


@pytest.mark.parametrize("late", [0, 50])
def test_both_clocks_judge_the_same_windows_of_rows(installation: Installation, late: int) -> None:
    """Rows that come late would move the end of a window of rows that was counted anew."""
    manifest = release(installation, drift={"window": {"rows": 500, "minimum_rows": 100}})
    installation.world.answer(manifest, 1, ordinary(1001, 2))
    before = windows(installation.judged("inputs"))
    installation.world.answer(manifest, 1, ordinary(late, 4, start=minutes(1)) if late else ordinary(1, 4))
    installation.world.answer(manifest, 1, ordinary(600, 3, start=minutes(170)))
    inputs, performance = installation.judged("inputs"), installation.judged()
    assert windows(inputs)[: len(before)] == before
    assert windows(performance) == windows(inputs)[: len(performance)]
    assert len(performance) >= 2


def test_clocks_agree_on_gaps_and_replaced_generations(installation: Installation) -> None:
    world = installation.world
    manifest = release(installation)
    world.answer(manifest, 1, ordinary(HOUR, 2))
    world.answer(manifest, 1, ordinary(HOUR + 90, 3, start=minutes(600)))
    challenger = world.version(loop(), ordinary(5000, 9), "two")
    world.release(challenger)
    world.answer(challenger, 2, ordinary(HOUR * 3, 4, start=minutes(675)))
    inputs, performance = installation.judged("inputs"), installation.judged()
    assert windows(performance) == windows(inputs)[: len(performance)]
    assert [(each.window_end, each.generation, each.rows) for each in performance] == [
        (minutes(60), 1, HOUR),
        (minutes(120), 1, 0),
        (minutes(660), 1, HOUR),
        (minutes(735), 2, HOUR),
        (minutes(795), 2, HOUR),
    ]
    first, second = installation.verdicts.generations("toy")
    assert first.inputs_until == first.performance_until == second.first


def test_alarm_between_windows_is_in_the_state_until_a_window_closes(installation: Installation) -> None:
    manifest = release(installation)
    installation.world.answer(manifest, 1, ordinary(HOUR + 60, 2))
    [inputs] = installation.judged("inputs")
    alarm = {"detector": "stream", "state": "drift", "window_end": minutes(65), "verdict_id": "ab" * 16}
    installation.verdicts.put(inputs.model_copy(update=alarm))
    installation.world.answer(manifest, 1, ordinary(60, 3, start=minutes(70)))
    installation.settle()
    assert (status(installation).state, status(installation).inputs.state) == ("drift", "ok")
    installation.verdicts.close()
    installation.restart()
    installation.monitor.step()
    shown = installation.metrics.registry.get_sample_value(
        "homeostat_drift_state", {"model": "toy", "state": "drift"}
    )
    assert (status(installation).state, shown) == ("drift", 1)
    installation.world.answer(manifest, 1, ordinary(HOUR, 4, start=minutes(80)))
    installation.settle()
    assert (status(installation).state, status(installation).alarm) == ("ok", None)


def test_silent_outcome_feed_is_not_reported_as_healthy(installation: Installation) -> None:
    manifest = release(installation)
    world = installation.world
    world.answer(manifest, 1, ordinary(HOUR * 2, 2))
    installation.settle()
    assert status(installation).state == "ok"
    gauge = installation.metrics.registry.get_sample_value
    not_judged = {"model": "toy", "state": "not_judged"}
    # From here on no outcome arrives. Those of the second window are due at 150 minutes.
    world.answer(manifest, 1, ordinary(HOUR // 2 - 6, 3, start=minutes(121)), delay=None)
    installation.settle()
    assert status(installation).state == "ok", "outcomes are not due yet"
    world.answer(manifest, 1, ordinary(HOUR // 4, 4, start=minutes(150)), delay=None)
    installation.settle()
    shown = status(installation)
    assert shown.performance is not None
    assert shown.outcomes is not None
    assert (shown.state, shown.inputs.state, shown.performance.state) == ("not_judged", "ok", "not_judged")
    assert shown.outcomes.overdue_since == minutes(150)
    assert shown.outcomes.summary == "no outcomes since 2026-01-01 02:19 UTC"
    assert gauge("homeostat_drift_state", not_judged) == 1
    # Waited for long enough: judged without them. The next windows wait in turn: it never reads as healthy.
    world.answer(manifest, 1, ordinary(HOUR * 2, 5, start=minutes(165)), delay=None)
    assert installation.judged()[-1].state == "insufficient_data"
    assert status(installation).state == "not_judged"
    installation.verdicts.close()
    installation.restart()
    installation.settle()
    assert status(installation).state == "not_judged"


def test_replaced_generation_is_not_finished_while_its_outcomes_are_awaited(
    installation: Installation,
) -> None:
    """The next generation begins where its last window ends, and the outcomes of both windows come later."""
    world = installation.world
    manifest = release(installation)
    world.answer(manifest, 1, ordinary(HOUR * 2, 2), delay=None)
    challenger = world.version(loop(), ordinary(5000, 9), "two")
    world.release(challenger)
    world.answer(challenger, 2, ordinary(60, 3, start=minutes(120)), delay=None)
    installation.settle()
    assert installation.judged() == []
    first, _ = installation.verdicts.generations("toy")
    assert (first.inputs_until, first.performance_until) == (minutes(120), minutes(0))
    world.observe(
        "toy",
        [f"p{row}" for row in range(HOUR * 2)],
        np.asarray(ordinary(HOUR * 2, 2)["outcome"], dtype=float),
        [minutes(151)] * (HOUR * 2),
    )
    world.answer(challenger, 2, ordinary(HOUR, 4, start=minutes(130)), delay=None)
    assert [(each.window_end, each.coverage) for each in installation.judged()] == [
        (minutes(60), 1.0),
        (minutes(120), 1.0),
    ]


def test_evidence_of_windows_is_a_verdict_that_is_published_and_shown(installation: Installation) -> None:
    """The reference's rows are held out: outcomes are spoilt a little more than `loss_increase` allows."""
    manifest = installation.world.version(
        loop(), ordinary(5000, 1), trained_until="2025-12-31T00:00:00+00:00"
    )
    installation.world.release(manifest)
    installation.world.answer(manifest, 1, ordinary(HOUR * 8, 2, flip=0.18))
    verdicts = installation.settle()
    [alarm, *_] = [each for each in verdicts if each.detector == "stream"]
    assert (alarm.state, alarm.drifted, alarm.generation) == ("drift", ("performance",), 1)
    installation.publisher.publish()
    assert alarm in installation.topic.records
    shown = status(installation).alarm
    assert shown is not None
    assert shown.detector == "stream"
    counted = installation.monitor.errors._states.get("toy", 1, 6)
    assert counted is not None
    assert counted.until == installation.judged()[-1].window_end
