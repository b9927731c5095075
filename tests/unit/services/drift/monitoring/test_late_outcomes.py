"""Late and corrected outcomes: which windows they have judged again, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from services.drift.monitoring import late_outcomes
from services.drift.monitoring.window_evaluation import WindowEvaluation
from services.drift.windows import Span
from shared.contracts.manifest import Manifest
from shared.contracts.verdict import Verdict
from tests.unit.services.drift.installation import Installation
from tests.unit.services.drift.world import loop, minutes, ordinary

HOUR = 360  # rows: one every ten seconds


@pytest.fixture
def released(installation: Installation) -> Manifest:
    corrected = loop(outcome={"delay": "30m", "contradictions": 1})
    manifest = installation.world.version(corrected, ordinary(5000, 1))
    installation.world.release(manifest)
    return manifest


@pytest.fixture
def reviews(monkeypatch: pytest.MonkeyPatch) -> list[Verdict]:
    """The verdicts whose windows were read again."""
    seen: list[Verdict] = []
    review = WindowEvaluation.review

    def counted(self: WindowEvaluation, verdict: Verdict) -> Verdict | None:
        seen.append(verdict)
        return review(self, verdict)

    monkeypatch.setattr(WindowEvaluation, "review", counted)
    return seen


def observe(installation: Installation, rows: Sequence[int], values: Sequence[float], at: float) -> None:
    """Outcomes of the rows with these numbers, received that many minutes after the start."""
    ids = [f"p{row}" for row in rows]
    installation.world.observe("toy", ids, np.asarray(values, dtype=float), [minutes(at)] * len(ids))


def outcomes(rows: Mapping[str, object]) -> list[float]:
    """Those of the first hour."""
    return [float(value) for value in np.asarray(rows["outcome"])[:HOUR]]


def of_window(installation: Installation, end: float) -> Verdict:
    """The latest revision of the verdict on performance of a window."""
    [found] = [each for each in installation.judged() if each.window_end == minutes(end)]
    return found


def test_corrected_outcomes_revise_the_verdict(
    installation: Installation, released: Manifest, reviews: list[Verdict]
) -> None:
    rows = ordinary(HOUR * 2, 2)
    installation.world.answer(released, 1, rows)
    before = of_window(installation, 60)
    assert (before.state, before.revision) == ("ok", 1)
    assert installation.publisher.publish() == 2
    observe(installation, range(HOUR), [1 - value for value in outcomes(rows)], 119)
    after = of_window(installation, 60)
    assert (after.verdict_id, after.revision, after.state) == (before.verdict_id, 2, "drift")
    assert (after.loss or 0.0) > (before.loss or 0.0)
    assert installation.publisher.publish() == 1
    assert installation.topic.records[-1] == after
    assert len(reviews) == 1
    value = installation.metrics.registry.get_sample_value
    assert value("homeostat_drift_revisions_total", {"model": "toy", "state": "drift"}) == 1


def test_outcomes_that_contradict_each_other_are_a_data_fault(installation: Installation) -> None:
    """A sender who turns outcomes into their opposite must not look like a model that fails."""
    manifest = installation.world.version(loop(), ordinary(5000, 1))
    installation.world.release(manifest)
    rows = ordinary(HOUR * 2, 2)
    installation.world.answer(manifest, 1, rows)
    assert of_window(installation, 60).state == "ok"
    few, many = HOUR // 20, HOUR // 3
    opposite = [1 - value for value in outcomes(rows)]
    observe(installation, range(few), opposite[:few], 118)
    assert of_window(installation, 60).state == "ok", "corrections are ordinary"
    observe(installation, range(few, many), opposite[few:many], 119)
    verdict = of_window(installation, 60)
    assert (verdict.state, verdict.drifted, verdict.top_drifted_features) == ("data_fault", (), ())
    [share] = [score for score in verdict.scores if score.method == "contradicting_share"]
    assert share.value == pytest.approx(1 / 3)
    assert 0.05 < share.threshold < 0.15
    assert "Outcomes that contradict others are of unknown (120)." in verdict.explanation
    # As docs/security.md says: the wrong outcomes are removed, and the window is judged again.
    table = installation.world.lake.open(installation.world.lake.outcomes("toy"))
    assert table is not None
    table.delete("received_at >= '2026-01-01T01:59:00Z' and received_at < '2026-01-01T02:00:00Z'")
    assert (of_window(installation, 60).state, of_window(installation, 60).revision) == ("ok", 4)


def test_outcomes_that_come_after_the_wait_are_judged(installation: Installation, released: Manifest) -> None:
    rows = ordinary(HOUR * 3, 2)
    installation.world.answer(released, 1, rows, delay=None)
    assert of_window(installation, 60).state == "insufficient_data"
    observe(installation, range(HOUR), outcomes(rows), 175)
    after = of_window(installation, 60)
    assert (after.state, after.revision, after.coverage) == ("ok", 2, 1.0)


def test_windows_are_read_again_only_for_outcomes_of_their_own(
    installation: Installation, released: Manifest, reviews: list[Verdict]
) -> None:
    installation.world.answer(released, 1, ordinary(HOUR * 2, 2))
    installation.settle()
    # Outcomes come with every later hour, none of them for the first.
    for hour in range(2, 4):
        installation.world.answer(released, 1, ordinary(HOUR, hour, start=minutes(60 * hour)))
        installation.settle()
    assert reviews == []
    observe(installation, [HOUR, HOUR + 1, HOUR + 2, HOUR + 3], [1.0] * 4, 200)
    installation.settle()
    assert [verdict.window_end for verdict in reviews] == [minutes(120)]


def test_a_few_outcomes_wait_for_the_end_of_the_horizon(
    installation: Installation, released: Manifest, reviews: list[Verdict]
) -> None:
    installation.world.answer(released, 1, ordinary(HOUR * 2, 2))
    installation.settle()
    observe(installation, [0, 1, 2], [1.0, 0.0, 1.0], 119)  # less than one in a hundred
    installation.settle()
    assert reviews == []
    # Open until the end (60) + delay (30) + twice the window's length (120).
    installation.world.answer(released, 1, ordinary(HOUR + 180 + 1, 3, start=minutes(120)))
    installation.settle()
    assert [verdict.window_end for verdict in reviews] == [minutes(60)]
    assert minutes(60) not in [
        verdict.window_end for verdict, _ in installation.verdicts.open_verdicts("toy")
    ]
    observe(installation, range(HOUR), [1.0] * HOUR, 215)
    installation.settle()
    assert len(reviews) == 1, "the window is closed"


def test_repeated_outcomes_change_nothing(
    installation: Installation, released: Manifest, reviews: list[Verdict]
) -> None:
    rows = ordinary(HOUR * 2, 2)
    installation.world.answer(released, 1, rows)
    before = installation.settle()
    observe(installation, range(HOUR), outcomes(rows), 119)
    assert installation.settle() == before
    assert len(reviews) == 1
    installation.settle()
    assert len(reviews) == 1


def test_outcomes_that_came_while_drift_was_stopped_are_counted(
    installation: Installation, released: Manifest, reviews: list[Verdict]
) -> None:
    rows = ordinary(HOUR * 2, 2)
    installation.world.answer(released, 1, rows)
    installation.settle()
    installation.verdicts.close()
    installation.restart()
    installation.settle()
    assert reviews == [], "nothing was added"
    installation.verdicts.close()
    observe(installation, range(HOUR), [1 - value for value in outcomes(rows)], 119)
    installation.restart()
    assert of_window(installation, 60).revision == 2


@pytest.mark.parametrize("step", ["before", "after"])
def test_crash_around_storing_a_revision_loses_and_repeats_nothing(
    installation: Installation, released: Manifest, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    rows = ordinary(HOUR * 2, 2)
    installation.world.answer(released, 1, rows)
    installation.settle()
    installation.publisher.publish()
    observe(installation, range(HOUR), [1 - value for value in outcomes(rows)], 119)
    revise = installation.verdicts.revise

    def crash(verdict: Verdict, outcomes_version: int) -> bool:
        if step == "after":
            revise(verdict, outcomes_version)
        raise SystemExit("killed")

    monkeypatch.setattr(installation.verdicts, "revise", crash)
    with pytest.raises(SystemExit):
        installation.monitor.step()
    installation.verdicts.close()
    installation.restart()
    assert of_window(installation, 60).revision == 2
    installation.publisher.publish()
    about = of_window(installation, 60).verdict_id
    sent = [record.revision for record in installation.topic.records if record.verdict_id == about]
    assert sent == [1, 2]


def test_groups_of_a_window_are_those_of_its_ids(installation: Installation, released: Manifest) -> None:
    installation.world.answer(released, 1, ordinary(30, 2))
    found = installation.lake_reader.prediction_groups("toy", Span(minutes(1), minutes(2)))
    assert sorted(found) == sorted(f"p{row}" for row in range(6, 12))


def test_a_poll_reads_the_lake_a_few_times_however_many_windows_are_open(
    installation: Installation, released: Manifest, reviews: list[Verdict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_outcomes, "READS_PER_POLL", 2)
    windows = 5
    rows = ordinary(HOUR * windows, 2)
    slow = installation.world.version(loop(outcome={"delay": "30d"}), ordinary(5000, 1), "slow")
    installation.world.release(slow)
    installation.world.answer(slow, 2, rows, delay=None)
    later = ordinary(HOUR, 3, start=minutes(60 * 24 * 62))
    installation.world.answer(slow, 2, later, delay=None)
    installation.settle()
    opened = [verdict.window_end for verdict, _ in installation.verdicts.open_verdicts("toy")]
    assert opened[:windows] == [minutes(60 * (hour + 1)) for hour in range(windows)]

    reads: list[int] = []
    real = installation.lake_reader.prediction_groups

    def counted(model: str, span: Span) -> object:
        reads.append(1)
        return real(model, span)

    observe(installation, range(HOUR * windows), np.asarray(rows["outcome"], dtype=float).tolist(), 90_000)
    monkeypatch.setattr(type(installation.lake_reader), "prediction_groups", lambda _, *what: counted(*what))
    polls = 0
    while not polls or installation.monitor._states["toy"].busy:
        reads.clear()
        installation.monitor.step()
        assert len(reads) <= 2
        polls += 1
    assert polls >= windows // 2
    assert {verdict.window_end for verdict in reviews} == set(opened[:windows]), "none is forgotten"


def test_windows_that_are_closed_are_forgotten(installation: Installation, released: Manifest) -> None:
    installation.world.answer(released, 1, ordinary(HOUR * 9, 2))
    installation.settle()
    opened = {verdict.verdict_id for verdict, _ in installation.verdicts.open_verdicts("toy")}
    assert set(installation.monitor.late_outcomes._models["toy"]) == opened
    assert 0 < len(opened) < len(installation.judged())
