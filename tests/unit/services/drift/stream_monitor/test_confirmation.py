"""A suspicion of drift is a verdict only if Evidently's distances of the same rows agree; a cause has one verdict."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from services.drift.evaluation.evaluator import Evaluator
from services.drift.sharing.ownership import SharedModels
from services.drift.stream.alarm import Alarm, AlarmSignal, Blame
from services.drift.stream_monitor.confirmation import LONGEST_WAIT, Confirmation
from services.drift.stream_monitor.examiner import (
    ATTEMPTS,
    LONGEST_RETRY_SECONDS,
    RETRY_SECONDS,
    Examiner,
)
from services.drift.stream_monitor.metrics import StreamMetrics
from services.drift.stream_monitor.pending import PendingSuspicions
from services.drift.stream_monitor.suspicion import Suspicion, read_suspicions, write_suspicions
from shared.contracts.verdict import Verdict
from shared.errors import DependencyUnavailable
from tests.unit.services.drift.distances import ScipyDistances
from tests.unit.services.drift.installation import Installation
from tests.unit.services.drift.world import loop, minutes, ordinary


def alarm(
    feature: str = "x",
    *,
    signal: AlarmSignal = "feature",
    start: float = 30,
    end: float = 50,
    fault: str = "",
) -> Alarm:
    onset, at = minutes(start), minutes(end)
    method = fault or ("categories" if feature == "c" else "location")
    blame = Blame(feature, feature, method, 25.0, 17.0, onset)  # type: ignore[arg-type]
    state = "data_fault" if fault else "drift"
    return Alarm(signal, state, method, 25.0, 17.0, (blame,), onset, at)  # type: ignore[arg-type]


class Office:
    """An installation with a released model whose x moved by `shift` after half an hour, and the examiner of its suspicions."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        world = installation.world
        self.manifest = world.version(loop(), ordinary(5000, 1))
        world.release(self.manifest)
        self.pending, self.registry = PendingSuspicions(), CollectorRegistry()
        self.confirmation = Confirmation(
            installation.references,
            installation.lake_reader,
            Evaluator(ScipyDistances()),
            installation.verdicts,
            lambda: installation.now,
        )
        self.announced: list[Verdict] = []
        self.seconds = 0.0
        self.examiner = Examiner(
            self.pending,
            self.confirmation,
            installation.verdicts,
            installation.metrics,
            StreamMetrics(self.registry),
            on_verdict=self.announced.append,
            clock=lambda: self.seconds,
        )

    def answer(self, shift: float) -> None:
        world = self.installation.world
        world.answer(self.manifest, 1, ordinary(180, 2), delay=None)
        world.answer(self.manifest, 1, ordinary(180, 3, start=minutes(30), shift=shift), delay=None)

    def step(self) -> int:
        """When every pause is over."""
        self.seconds += LONGEST_RETRY_SECONDS
        return self.examiner.step()

    def suspect(self, *alarms: Alarm, generation: int = 1) -> Suspicion:
        suspicion = Suspicion(
            "toy", self.manifest.version, generation, alarms or (alarm(),), 120, timedelta(hours=1)
        )
        self.pending.add([suspicion])
        return suspicion

    def conclusions(self) -> dict[str, float]:
        name = "homeostat_drift_stream_conclusions_total"
        return {
            conclusion: value
            for conclusion in ("confirmed", "withdrawn", "same_cause")
            if (value := self.registry.get_sample_value(name, {"model": "toy", "conclusion": conclusion}))
        }


@pytest.fixture
def office(installation: Installation) -> Office:
    return Office(installation)


def test_confirmed_drift_names_the_part_of_the_rows_that_it_comes_from(office: Office) -> None:
    columns = ordinary(2400, 3, start=minutes(30), step=timedelta(seconds=1))
    inside = np.asarray(columns["c"]) == "d"
    before = np.asarray(columns["x"])
    columns["x"] = np.where(inside, before + 4.0, before)
    office.installation.world.answer(office.manifest, 1, columns, delay=None)
    office.suspect()
    assert office.step() == 0
    [verdict] = office.announced
    [found] = verdict.found_slices
    assert found.where.startswith("x > ")
    assert found.share > found.reference_share + 0.1
    assert found.where in verdict.explanation


def test_suspicion_of_a_model_of_another_process_is_left_to_it(office: Office) -> None:
    share = SharedModels(office.installation.world.home / "shards", streams=False)
    examiner = Examiner(
        office.pending, office.confirmation, office.installation.verdicts, office.installation.metrics,
        StreamMetrics(CollectorRegistry()), on_verdict=office.announced.append, ownership=share,
    )  # fmt: skip
    office.answer(shift=1.0)
    office.suspect()
    assert examiner.step() == 1
    assert office.announced == []


def test_confirmed_drift_is_a_verdict_with_both_scores(office: Office) -> None:
    office.answer(shift=1.0)
    suspicion = office.suspect()
    assert office.step() == 0
    [verdict] = office.announced
    assert verdict == office.installation.verdicts.get(suspicion.subject.verdict_id)
    assert (verdict.detector, verdict.state, verdict.drifted) == ("stream", "drift", ("feature",))
    assert (verdict.window_start, verdict.window_end) == (minutes(30), minutes(50))
    assert (verdict.onset, verdict.rows, verdict.outcomes) == (minutes(30), 120, 0)
    assert verdict.has_own_id
    scores = {score.method: score for score in verdict.scores if score.exceeded}
    assert scores["location_evidence"].value == 25.0
    assert scores["wasserstein"].value == pytest.approx(1.0, abs=0.2)
    assert "score" not in verdict.explanation
    assert "wasserstein of x" in verdict.explanation
    assert office.conclusions() == {"confirmed": 1}
    sample = office.installation.metrics.registry.get_sample_value
    assert sample("homeostat_drift_state", {"model": "toy", "state": "drift"}) == 1


def test_alarm_that_evidently_does_not_confirm_starts_nothing(office: Office) -> None:
    office.answer(shift=0.0)
    office.suspect()
    assert office.step() == 0
    assert office.announced == []
    assert office.installation.verdicts.latest(None, 10) == []
    assert office.conclusions() == {"withdrawn": 1}


def test_drift_within_the_tolerance_of_loop_yaml_is_withdrawn(office: Office) -> None:
    world = office.installation.world
    spec = loop(drift={"window": {"every": "1h", "minimum_rows": 100}, "minimum_effect": 1.5})
    office.manifest = world.version(spec, ordinary(5000, 1), "tolerant")
    world.release(office.manifest)
    office.answer(shift=1.0)
    office.suspect()
    office.step()
    assert office.conclusions() == {"withdrawn": 1}


def test_values_outside_the_declared_bounds_are_a_data_fault(office: Office) -> None:
    """x may be from -50 to 50. A detector cannot tell that from values beyond those of the reference."""
    office.answer(shift=60.0)
    office.suspect()
    office.step()
    [verdict] = office.announced
    assert (verdict.state, verdict.drifted, verdict.top_drifted_features) == ("data_fault", (), ("x",))
    assert {score.method for score in verdict.scores if score.signal == "data" and score.exceeded} == {
        "out_of_range_share"
    }


def test_drift_of_the_prediction_needs_the_prediction(office: Office) -> None:
    office.answer(shift=1.0)
    office.suspect(alarm("score", signal="prediction"))
    office.step()
    assert office.conclusions() == {"withdrawn": 1}, "x moved, the score did not"


def test_drift_waits_for_the_rows_in_the_lake(office: Office) -> None:
    office.suspect()
    assert office.step() == 1
    office.answer(shift=1.0)
    assert office.step() == 0
    assert office.conclusions() == {"confirmed": 1}


def test_row_dated_ahead_does_not_end_the_wait(office: Office) -> None:
    """One row after the alarm makes the lake seem complete: drift still waits for the rows, a minute at most."""
    world = office.installation.world
    world.answer(office.manifest, 1, ordinary(1, 4, start=minutes(600)), delay=None)
    office.suspect()
    assert office.step() == 1
    office.answer(shift=1.0)
    assert office.step() == 0
    assert office.conclusions() == {"confirmed": 1}


def test_rows_that_never_arrive_are_not_waited_for(office: Office) -> None:
    world = office.installation.world
    world.answer(office.manifest, 1, ordinary(1, 4, start=minutes(600)), delay=None)
    office.suspect()
    assert office.step() == 1
    office.installation.now += LONGEST_WAIT
    assert office.step() == 0
    assert office.conclusions() == {"withdrawn": 1}


def test_data_fault_waits_for_nothing(office: Office) -> None:
    office.suspect(alarm("c", signal="data", fault="missing"), alarm())
    assert office.step() == 0
    [verdict] = office.announced
    assert (verdict.state, verdict.drifted, verdict.top_drifted_features) == ("data_fault", (), ("c",))
    assert verdict.rows == 120
    assert verdict.explanation.endswith("missing in c. A data fault never starts retraining.")


def test_one_cause_has_one_verdict(office: Office) -> None:
    office.answer(shift=1.0)
    office.suspect()
    office.step()
    office.suspect(alarm("c", end=52))  # another column, two minutes later
    office.step()
    assert office.conclusions() == {"confirmed": 1, "same_cause": 1}
    assert len(office.announced) == 1
    office.suspect(alarm("c", signal="data", fault="missing", end=53))
    office.step()
    assert [verdict.state for verdict in office.announced] == ["drift", "data_fault"], "another state is news"
    office.suspect(alarm("c", signal="data", fault="frozen", end=55))
    office.step()
    assert len(office.announced) == 2
    office.suspect(alarm("x", signal="data", fault="missing", end=55))
    office.step()
    assert len(office.announced) == 3, "another broken feature is news"


def test_same_signal_after_a_window_is_a_cause_of_its_own(office: Office) -> None:
    office.suspect(alarm("c", signal="data", fault="missing", end=50))
    office.suspect(alarm("c", signal="data", fault="missing", end=111))
    office.suspect(alarm("c", signal="data", fault="missing", end=60), generation=2)
    office.step()
    assert office.conclusions() == {"confirmed": 3}


def test_suspicion_examined_twice_keeps_its_first_verdict(office: Office) -> None:
    """As after a crash between storing the verdict and removing the suspicion."""
    office.answer(shift=1.0)
    suspicion = office.suspect()
    office.step()
    office.pending.add([suspicion])
    office.step()
    assert len(office.announced) == 1
    assert len(office.installation.verdicts.latest(None, 10)) == 1
    assert office.conclusions() == {"confirmed": 2}, "its own verdict is not that of another cause"


def test_unavailable_lake_and_unknown_errors(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.suspect()

    def unavailable(_: str) -> None:
        raise DependencyUnavailable("no lake")

    def unknown(_: str) -> None:
        raise ArithmeticError("nobody foresaw this")

    with monkeypatch.context() as patch:
        patch.setattr(type(office.installation.lake_reader), "watermarks", staticmethod(unavailable))
        for _ in range(2 * ATTEMPTS):
            assert office.step() == 1, "an outage ends"
        patch.setattr(type(office.installation.lake_reader), "watermarks", staticmethod(unknown))
        for attempt in range(ATTEMPTS):
            assert office.step() == (1 if attempt < ATTEMPTS - 1 else 0)
    assert office.conclusions() == {"withdrawn": 1}


def test_pending_suspicions_are_bounded_and_each_once() -> None:
    pending = PendingSuspicions(kept=2)
    one, two, three = (
        Suspicion("toy", "v", 1, (alarm(end=end),), 5, timedelta(hours=1)) for end in (50, 51, 52)
    )
    pending.add([one, one, two])
    assert pending.all() == (one, two)
    pending.add([three])
    assert pending.all() == (two, three)
    pending.remove(two)
    assert pending.all() == (three,)


def test_suspicions_survive_their_snapshot() -> None:
    suspicion = Suspicion("toy", "v", 1, (alarm(), alarm("c", fault="missing")), 5, timedelta(hours=1))
    assert read_suspicions(write_suspicions((suspicion,))) == (suspicion,)
    with pytest.raises(ValueError, match="Field required"):
        read_suspicions(b'[{"model": "toy"}]')


def test_suspicion_that_waits_is_examined_ever_less_often(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.suspect()
    looks: list[float] = []
    examine = Confirmation.examine

    def counted(self: Confirmation, suspicion: Suspicion) -> object:
        looks.append(office.seconds)
        return examine(self, suspicion)

    monkeypatch.setattr(Confirmation, "examine", counted)
    while office.seconds < 600:
        assert office.examiner.step() == 1
        office.seconds += RETRY_SECONDS
    assert looks[:5] == [0.0, 0.5, 1.5, 3.5, 7.5]
    assert len(looks) < 30, "twice a second would be 1,200 looks"
    office.suspect(alarm("c", signal="data", fault="missing", end=51))
    office.examiner.step()
    assert len(office.announced) == 1, "others do not wait for it"
