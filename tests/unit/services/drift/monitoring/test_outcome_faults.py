"""A fault of outcomes is counted once: not again by a review of its window, nor by a request."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from services.drift.evaluation.columns import Rows
from services.drift.monitoring.outcome_faults import OutcomeFaults
from tests.unit.services.drift.installation import Installation
from tests.unit.services.drift.world import loop, minutes, ordinary

HOUR = 360  # rows


def with_faults(early: int, contradicted: int) -> Rows:
    nothing = np.array([])
    rows = Rows(np.array([], np.int64), {}, {}, nothing, nothing)
    return replace(rows, early_outcomes=early, contradicted_outcomes=contradicted)


def test_only_what_was_added_counts() -> None:
    counted: Counter[str] = Counter()
    faults = OutcomeFaults(lambda _, fault, count: counted.update({fault: count}), kept=2)
    faults.seen("toy", "one", with_faults(1, 4), again=False)
    faults.seen("toy", "one", with_faults(1, 4), again=True)
    faults.seen("toy", "one", with_faults(1, 6), again=True)
    assert counted == {"early": 1, "contradicting": 6}
    for name in ("two", "three"):
        faults.seen("toy", name, with_faults(0, 0), again=False)
    faults.seen("toy", "one", with_faults(1, 6), again=True)
    assert counted == {"early": 1, "contradicting": 6}, (
        "forgotten, as after a restart: not counted a second time"
    )
    faults.seen("toy", "one", with_faults(1, 5), again=True)
    faults.seen("toy", "one", with_faults(1, 6), again=True)
    assert counted == {"early": 1, "contradicting": 7}


def test_senders_are_counted_once() -> None:
    counted: Counter[str] = Counter()
    faults = OutcomeFaults(lambda *_: None, lambda _, by_sender: counted.update(by_sender))

    def seen(again: bool, **by_sender: int) -> None:
        faults.seen("toy", "one", replace(with_faults(0, 9), contradicting=by_sender), again=again)

    seen(False, shop=4, sensors=1)
    seen(True, shop=4, sensors=1)
    seen(True, shop=6, sensors=1, other=2)
    assert counted == {"shop": 6, "sensors": 1, "other": 2}


def test_review_and_request_do_not_count_faults_again(installation: Installation) -> None:
    manifest = installation.world.version(loop(), ordinary(5000, 1))
    installation.world.release(manifest)
    rows = ordinary(HOUR * 2, 2)
    installation.world.answer(manifest, 1, rows)
    outcomes = np.asarray(rows["outcome"], dtype=float)

    def correct(first: int, count: int, at: float) -> None:
        ids = [f"p{row}" for row in range(first, first + count)]
        values = 1 - outcomes[first : first + count]
        installation.world.observe("toy", ids, values, [minutes(at)] * count)

    def contradicting() -> float | None:
        name = "homeostat_drift_outcome_faults_total"
        labels = {"model": "toy", "fault": "contradicting"}
        return installation.metrics.registry.get_sample_value(name, labels)

    correct(0, 10, 70)
    installation.settle()
    assert contradicting() == 10
    correct(10, 20, 119)
    installation.settle()
    assert contradicting() == 30
    installation.monitor.evaluate_now("toy", minutes(0), minutes(60))
    assert contradicting() == 30
    installation.verdicts.close()
    installation.restart()
    correct(30, 20, 119)
    installation.settle()
    assert contradicting() == 0, "a process that does not know what was counted begins with what there is"
