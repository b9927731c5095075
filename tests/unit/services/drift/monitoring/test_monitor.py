from __future__ import annotations

import time
from collections.abc import Hashable
from datetime import UTC, datetime, timedelta

import pytest

from services.drift.evaluation.reference_profile import Reference
from services.drift.monitoring import monitor
from services.drift.monitoring.lake_reader import DeltaLakeReader
from services.drift.sharing.ownership import SharedModels
from services.drift.sharing.shards import SHARDS
from services.drift.verdicts.positions import OutcomesRead
from shared.contracts.manifest import Manifest
from shared.contracts.verdict import SCHEDULED, Clock, Verdict
from shared.errors import Conflict, DependencyUnavailable, InvalidRequest, NotFound
from tests.unit.services.drift.installation import Installation
from tests.unit.services.drift.world import loop, minutes, ordinary
from tests.waiting import bound

HOUR = 360  # rows: one every ten seconds


@pytest.fixture
def released(installation: Installation) -> Manifest:
    manifest = installation.world.version(loop(), ordinary(5000, 1))
    assert installation.world.release(manifest) == 1
    return manifest


def test_a_model_without_rows_is_warming(installation: Installation, released: Manifest) -> None:
    assert installation.judged() == []
    [status] = installation.monitor.statuses()
    assert (status.state, status.version, status.generation, status.error) == (
        "warming_up",
        released.version,
        1,
        "",
    )
    assert status.next_window_start is None


def test_each_window_is_judged_once_when_its_outcomes_are_in(
    installation: Installation, released: Manifest
) -> None:
    installation.world.answer(released, 1, ordinary(HOUR * 3, 2))
    verdicts = installation.judged()
    # The third hour is not over, and the second's outcomes are not due before 150 minutes.
    assert [verdict.window_end for verdict in verdicts] == [minutes(60), minutes(120)]
    assert [(verdict.state, verdict.rows, verdict.outcomes) for verdict in verdicts] == [("ok", 360, 360)] * 2
    assert installation.judged() == verdicts
    [status] = installation.monitor.statuses()
    assert status.performance is not None
    assert status.performance.evaluated_until == minutes(120)
    assert (status.performance.next_window_end, status.performance.due_at) == (minutes(180), minutes(210))
    assert status.inputs.evaluated_until == status.next_window_start == minutes(120)
    assert (status.inputs.next_window_end, status.inputs.due_at) == (minutes(180), minutes(180))
    assert status.watermark == minutes(180) - timedelta(seconds=10)


@pytest.mark.parametrize(
    ("trained_until", "unseen", "rows", "alarms"),
    [
        ("2026-01-01T04:59:50+00:00", HOUR * 3, "held out", False),
        ("2026-01-01T04:59:50", HOUR * 3, "held out", False),
        ("2026-01-01T04:59:50+00:00", 0, "all", True),
        ("", 0, "all", True),
    ],
)
def test_a_version_that_knows_its_training_rows_by_heart_is_held_against_the_others(
    installation: Installation, trained_until: str, unseen: int, rows: str, alarms: bool
) -> None:
    known = ordinary(HOUR * 5, 1)
    known["score"] = known["outcome"]
    others = ordinary(unseen, 3, start=minutes(300))
    reference = {name: [*known[name], *others[name]] for name in known}  # type: ignore[misc]
    manifest = installation.world.version(loop(), reference, trained_until=trained_until)
    installation.world.release(manifest)
    installation.world.answer(manifest, 1, ordinary(HOUR * 2, 2))
    [verdict] = installation.judged()
    assert ("performance" in {score.signal for score in verdict.scores if score.exceeded}) == alarms
    assert installation.monitor.statuses()[0].reference_loss_rows == rows


def test_a_window_waits_until_outcomes_are_due(installation: Installation, released: Manifest) -> None:
    installation.world.answer(released, 1, ordinary(HOUR + 100, 2))
    assert installation.judged() == []
    installation.world.answer(released, 1, ordinary(81, 3, start=minutes(76.7)))
    assert [verdict.window_end for verdict in installation.judged()] == [minutes(60)]


def test_a_silent_feed_of_outcomes_ends_blind_not_healthy(
    installation: Installation, released: Manifest
) -> None:
    installation.world.answer(released, 1, ordinary(HOUR * 3, 2), delay=None)
    [verdict] = installation.judged()
    assert (verdict.state, verdict.outcomes, verdict.loss) == ("insufficient_data", 0, None)
    assert "0 of 360 rows have an outcome" in verdict.explanation


def test_a_swap_begins_new_windows_against_the_new_reference(
    installation: Installation, released: Manifest
) -> None:
    world = installation.world
    challenger = world.version(loop(), ordinary(5000, 9, shift=3.0), "two")
    world.answer(released, 1, ordinary(540, 2))
    world.release(challenger)
    world.answer(challenger, 2, ordinary(HOUR * 3, 3, start=minutes(90), shift=3.0))
    verdicts = installation.judged()
    # What the first version answered after its last whole window is not judged.
    assert [(verdict.generation, verdict.version, verdict.window_start) for verdict in verdicts] == [
        (1, released.version, minutes(0)),
        (2, challenger.version, minutes(90)),
        (2, challenger.version, minutes(150)),
    ]
    assert {verdict.state for verdict in verdicts} == {"ok"}


def test_windows_of_a_new_release_have_no_start_before_its_first_row(
    installation: Installation, released: Manifest
) -> None:
    world = installation.world
    world.answer(released, 1, ordinary(HOUR * 3, 2))
    installation.judged()
    challenger = world.version(loop(), ordinary(5000, 9), "two")
    world.release(challenger)
    installation.judged()
    [status] = installation.monitor.statuses()
    assert (status.generation, status.next_window_start) == (2, None)
    world.answer(challenger, 2, ordinary(10, 3, start=minutes(200)))
    installation.judged()
    assert installation.monitor.statuses()[0].next_window_start == minutes(200)


def test_finished_generation_is_not_polled(
    installation: Installation, released: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = installation.world
    challenger = world.version(loop(), ordinary(5000, 9), "two")
    world.release(challenger)
    world.answer(released, 1, ordinary(540, 2))
    world.answer(challenger, 2, ordinary(HOUR, 3, start=minutes(90)))
    installation.judged()
    fetched: list[str] = []
    get = installation.references.get

    def counted(model: str, version: str) -> Reference:
        fetched.append(version)
        return get(model, version)

    monkeypatch.setattr(installation.references, "get", counted)
    world.answer(challenger, 2, ordinary(HOUR, 4, start=minutes(150)))
    assert installation.judged()[-1].generation == 2
    assert set(fetched) == {challenger.version}
    installation.verdicts.close()
    installation.restart()
    fetched.clear()
    get = installation.references.get
    monkeypatch.setattr(installation.references, "get", counted)
    world.answer(challenger, 2, ordinary(HOUR, 5, start=minutes(210)))
    assert installation.judged()[-1].window_end == minutes(210)
    assert set(fetched) == {challenger.version}, "nor after a restart"


def test_rows_of_a_canary_end_no_window_of_the_live_generation(
    installation: Installation, released: Manifest
) -> None:
    world = installation.world
    world.release(world.version(loop(), ordinary(5000, 9), "two"), slot="canary")
    # First seen: the canary's, before any row of the live generation.
    world.answer(released, 2, ordinary(30, 7, start=minutes(30)))
    assert installation.judged() == []
    world.answer(released, 1, ordinary(HOUR, 2))
    world.answer(released, 2, ordinary(30, 8, start=minutes(60)))
    world.answer(released, 1, ordinary(HOUR + 60, 3, start=minutes(60)))
    found = [(one.generation, one.window_end, one.rows) for one in installation.judged("inputs")]
    assert found == [(1, minutes(60), HOUR), (1, minutes(120), HOUR)]


def test_rows_of_another_generation_are_not_in_the_window(
    installation: Installation, released: Manifest
) -> None:
    world = installation.world
    challenger = world.version(loop(), ordinary(5000, 9), "two")
    world.release(challenger)
    world.answer(released, 1, ordinary(HOUR * 2 + 60, 2))
    world.answer(challenger, 2, ordinary(1, 3, start=minutes(130)))
    installation.judged()
    world.answer(challenger, 2, ordinary(100, 4, start=minutes(90), shift=40.0))
    world.answer(challenger, 2, ordinary(200, 5, start=minutes(131)))
    verdicts = installation.judged()
    assert [(verdict.generation, verdict.window_end, verdict.rows) for verdict in verdicts] == [
        (1, minutes(60), HOUR),
        (1, minutes(120), HOUR),
    ]


def test_windows_of_rows(installation: Installation) -> None:
    spec = loop(drift={"window": {"rows": 500, "minimum_rows": 100}})
    manifest = installation.world.version(spec, ordinary(5000, 1))
    installation.world.release(manifest)
    installation.world.answer(manifest, 1, ordinary(1400, 2))
    assert [verdict.rows for verdict in installation.judged()] == [500, 500]


def test_a_gap_gives_one_blind_verdict_and_is_passed_over(
    installation: Installation, released: Manifest
) -> None:
    installation.world.answer(released, 1, ordinary(HOUR, 2))
    installation.world.answer(released, 1, ordinary(HOUR * 2, 3, start=minutes(60 * 1000)))
    verdicts = installation.judged()
    assert [(verdict.window_end, verdict.state) for verdict in verdicts] == [
        (minutes(60), "ok"),
        (minutes(120), "insufficient_data"),
        (minutes(60 * 1001), "ok"),
    ]


YEARS = timedelta(days=3 * 365, hours=5, minutes=59, microseconds=123_456)


@pytest.mark.parametrize("answering", [1, 2], ids=["the same generation", "the next generation"])
def test_a_prediction_stamped_now_after_a_replay_of_old_data_costs_one_blind_verdict(
    installation: Installation, released: Manifest, answering: int
) -> None:
    world = installation.world
    installation.now = minutes(0) + YEARS
    world.answer(released, 1, ordinary(HOUR * 2, 2))
    if answering == 2:
        released = world.version(loop(), ordinary(5000, 9), "two")
        world.release(released)
    # Its stamp has microseconds, which the lake's statistics round down: by those no row seems to lie there.
    world.answer(released, answering, ordinary(1, 3, start=installation.now), delay=None)
    begun = time.monotonic()
    verdicts = installation.judged()
    assert [(verdict.window_end, verdict.state) for verdict in verdicts] == [
        (minutes(60), "ok"),
        (minutes(120), "ok"),
        (minutes(180), "insufficient_data"),
    ]
    # 26,285 empty hours: a window each would take minutes.
    assert time.monotonic() - begun < bound(5)
    world.answer(released, answering, ordinary(1, 4, start=installation.now, step=timedelta(0)), delay=None)
    assert installation.judged() == verdicts
    assert installation.monitor.statuses()[0].error == ""


def test_traffic_that_comes_back_is_judged_from_its_own_window_on(
    installation: Installation, released: Manifest
) -> None:
    world = installation.world
    installation.now = minutes(0) + YEARS
    world.answer(released, 1, ordinary(HOUR, 2))
    world.answer(released, 1, ordinary(1, 3, start=installation.now - timedelta(hours=5)), delay=None)
    installation.judged()
    world.answer(released, 1, ordinary(HOUR * 4, 4, start=installation.now - timedelta(hours=4)))
    verdicts = installation.judged()
    assert [(verdict.rows, verdict.state) for verdict in verdicts[:3]] == [
        (HOUR, "ok"),
        (0, "insufficient_data"),
        (1, "insufficient_data"),
    ]
    back = verdicts[2]
    assert (back.window_start - minutes(0)) % timedelta(hours=1) == timedelta(0)
    assert back.window_start <= installation.now - timedelta(hours=5) < back.window_end
    assert [verdict.window_start - back.window_end for verdict in verdicts[3:]] == [
        timedelta(hours=hour) for hour in range(len(verdicts) - 3)
    ]
    assert len(verdicts) >= 5


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("look_often", [False, True])
def test_a_gap_has_one_blind_verdict_however_often_it_is_looked_at(
    installation: Installation, released: Manifest, look_often: bool, restart: bool
) -> None:
    def answer(start: float, rows: int) -> None:
        installation.world.answer(released, 1, ordinary(rows, int(start) + 1, start=minutes(start)))
        # A row from the future: with it windows end by the clock, also while nothing else comes.
        future = ordinary(1, 7, start=minutes(200_000 + start))
        installation.world.answer(released, 1, future, delay=None)
        if look_often:
            installation.judged()
        if restart:
            installation.verdicts.close()
            installation.restart()

    installation.now = minutes(59)
    answer(0, HOUR)
    for hour in range(1, 11):
        installation.now = minutes(60 * hour + 59)
        answer(60 * hour, 0)
    installation.now = minutes(840)
    answer(660, HOUR * 3)
    assert [(verdict.window_end, verdict.rows) for verdict in installation.judged()] == [
        (minutes(60), HOUR),
        (minutes(120), 0),
        (minutes(720), HOUR),
        (minutes(780), HOUR),
    ]


@pytest.mark.parametrize("crashing", ["inputs", "performance"])
def test_a_crash_after_the_verdict_on_a_gap_makes_no_second_one(
    installation: Installation, released: Manifest, monkeypatch: pytest.MonkeyPatch, crashing: str
) -> None:
    world = installation.world
    world.answer(released, 1, ordinary(HOUR, 2))
    world.answer(released, 1, ordinary(HOUR * 2, 3, start=minutes(6000)))
    put = installation.verdicts.put

    def crash(verdict: Verdict, outcomes: OutcomesRead | None = None) -> bool:
        put(verdict, outcomes)
        if verdict.rows == 0 and verdict.detector == crashing:
            raise SystemExit("killed")
        return True

    monkeypatch.setattr(installation.verdicts, "put", crash)
    with pytest.raises(SystemExit):
        installation.monitor.step()
    installation.verdicts.close()
    installation.restart()
    assert [(verdict.window_end, verdict.rows) for verdict in installation.judged()] == [
        (minutes(60), HOUR),
        (minutes(120), 0),
        (minutes(6060), HOUR),
    ]


def test_rows_that_come_late_are_judged_where_no_window_was_passed_over_yet(
    installation: Installation, released: Manifest
) -> None:
    world = installation.world
    installation.now = minutes(600)
    world.answer(released, 1, ordinary(HOUR, 2))
    world.answer(released, 1, ordinary(1, 7, start=minutes(200_000)), delay=None)
    assert [verdict.rows for verdict in installation.judged()] == [HOUR, 0]
    # With no rows received since, windows until 600 have closed; late rows of before are not judged, those of after are.
    world.answer(released, 1, ordinary(HOUR, 3, start=minutes(300)))
    world.answer(released, 1, ordinary(HOUR, 4, start=minutes(600)))
    installation.now = minutes(760)
    world.answer(released, 1, ordinary(1, 8, start=minutes(200_001)), delay=None)
    verdicts = installation.judged()
    assert [(verdict.window_end, verdict.rows) for verdict in verdicts[2:]] == [(minutes(660), HOUR)]


def test_the_delay_of_a_verdict_counts_from_when_its_window_was_first_seen_complete(
    installation: Installation, released: Manifest
) -> None:
    world = installation.world

    def delays() -> list[tuple[float | None, float | None]]:
        value = installation.metrics.registry.get_sample_value
        name = "homeostat_drift_verdict_delay_seconds"
        both = [{"model": "toy", "detector": detector} for detector in ("inputs", "performance")]
        return [(value(f"{name}_count", labels), value(f"{name}_sum", labels)) for labels in both]

    world.answer(released, 1, ordinary(HOUR + 1, 2))
    installation.seconds = 100.0
    assert installation.monitor.step() == 1  # its outcomes are not due yet
    world.answer(released, 1, ordinary(HOUR * 9, 3, start=minutes(60)))
    installation.seconds = 200.0
    assert installation.monitor.step() == 4 + 4
    assert delays() == [(5, 0.0), (4, 0.0)]
    installation.seconds = 203.0
    assert installation.monitor.step() == 4 + 4
    assert delays() == [(9, 12.0), (8, 12.0)], "four more, due three seconds before their turn"
    installation.seconds = 210.0
    assert installation.monitor.step() == 1
    assert delays() == [(9, 12.0), (9, 22.0)]
    installation.monitor.evaluate_now("toy", minutes(0), minutes(60))
    assert delays() == [(9, 12.0), (9, 22.0)], "what a person asks for was not awaited"


def test_while_a_version_cannot_be_fetched_the_delay_grows(
    installation: Installation, released: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "RETRY_SECONDS", 0.0)
    installation.world.answer(released, 1, ordinary(HOUR * 2, 2))
    path = installation.world.home / "models" / "toy" / "versions" / released.version / "reference.parquet"
    sound = path.read_bytes()
    path.write_bytes(b"something else")
    for _ in range(3):
        installation.monitor.step()
        installation.seconds += 30.0
    path.write_bytes(sound)
    installation.judged()
    value = installation.metrics.registry.get_sample_value
    for detector in ("inputs", "performance"):
        labels = {"model": "toy", "detector": detector}
        assert value("homeostat_drift_verdict_delay_seconds_sum", labels) == 90.0


def test_a_row_from_the_future_ends_no_window(installation: Installation, released: Manifest) -> None:
    world = installation.world
    world.answer(released, 1, ordinary(1, 7, start=minutes(200_000)), delay=None)
    assert installation.judged() == []
    installation.now = minutes(140)
    world.answer(released, 1, ordinary(840, 2))
    assert [(verdict.window_end, verdict.rows) for verdict in installation.judged()] == [(minutes(60), 360)]


def test_a_row_from_the_future_does_not_end_a_gap(installation: Installation, released: Manifest) -> None:
    world = installation.world
    installation.now = minutes(300)
    world.answer(released, 1, ordinary(HOUR, 2))
    world.answer(released, 1, ordinary(1, 7, start=minutes(200_000)), delay=None)
    installation.judged()
    installation.now = minutes(800)
    world.answer(released, 1, ordinary(HOUR, 3, start=minutes(600)))
    judged = {verdict.window_end: verdict.rows for verdict in installation.judged()}
    assert judged[minutes(60)] == judged[minutes(660)] == HOUR


def test_a_row_of_the_year_one_does_not_end_the_examination(
    installation: Installation, released: Manifest
) -> None:
    world = installation.world
    world.answer(released, 1, ordinary(1, 7, start=datetime(1, 1, 1, tzinfo=UTC)))
    world.answer(released, 1, ordinary(HOUR * 2, 2))
    verdicts = installation.judged()
    assert (verdicts[-1].state, verdicts[-1].rows) == ("ok", HOUR)
    assert installation.monitor.statuses()[0].error == ""


def test_a_row_from_the_distant_past_costs_two_blind_verdicts(
    installation: Installation, released: Manifest
) -> None:
    world = installation.world
    world.answer(released, 1, ordinary(1, 7, start=minutes(-3_000_000)))
    world.answer(released, 1, ordinary(HOUR * 2, 2))
    verdicts = installation.judged()
    assert [verdict.state for verdict in verdicts] == ["insufficient_data", "insufficient_data", "ok"]
    assert verdicts[-1].window_end == minutes(60)


def test_a_restart_judges_nothing_twice(installation: Installation, released: Manifest) -> None:
    installation.world.answer(released, 1, ordinary(HOUR * 3, 2))
    before = installation.judged()
    installation.verdicts.close()
    installation.restart()
    assert installation.judged() == before


@pytest.mark.parametrize("crashing", SCHEDULED)
def test_a_crash_between_storing_and_moving_on_keeps_the_first_verdict(
    installation: Installation, released: Manifest, monkeypatch: pytest.MonkeyPatch, crashing: Clock
) -> None:
    installation.world.answer(released, 1, ordinary(HOUR * 2, 2))
    advance = installation.verdicts.advance

    def crash(model: str, generation: int, detector: Clock, until: datetime) -> None:
        if detector == crashing:
            raise SystemExit("killed")
        advance(model, generation, detector, until)

    monkeypatch.setattr(installation.verdicts, "advance", crash)
    with pytest.raises(SystemExit):
        installation.monitor.step()
    [before, *_] = installation.verdicts.latest(None, 10)
    assert before.detector == crashing
    installation.verdicts.close()
    installation.restart()
    assert [each for each in installation.judged(crashing) if each.window_end == minutes(60)] == [before]
    delays = "homeostat_drift_verdict_delay_seconds_count"
    labels = {"model": "toy", "detector": crashing}
    assert installation.metrics.registry.get_sample_value(delays, labels) is None


def test_a_tampered_version_stops_its_model_only(installation: Installation, released: Manifest) -> None:
    world = installation.world
    other = world.version(loop(model="other"), ordinary(5000, 1), "other")
    world.release(other)
    world.answer(other, 1, ordinary(HOUR * 2, 2))
    world.answer(released, 1, ordinary(HOUR * 2, 2))
    folder = world.home / "models" / "toy" / "versions" / released.version
    (folder / "reference.parquet").write_bytes(b"something else")
    verdicts = installation.judged()
    assert {verdict.model for verdict in verdicts} == {"other"}
    errors = {status.model: status.error for status in installation.monitor.statuses()}
    assert "another digest" in errors["toy"]
    assert errors["other"] == ""


def test_a_tampered_release_leaves_what_is_served_under_examination(
    installation: Installation, released: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "RETRY_SECONDS", 0.0)
    world = installation.world
    challenger = world.version(loop(), ordinary(5000, 9), "two")
    (world.home / "models" / "toy" / "versions" / challenger.version / "model.onnx").write_bytes(b"evil")
    world.release(challenger)
    world.answer(released, 1, ordinary(HOUR * 2, 2))
    assert [verdict.version for verdict in installation.judged()] == [released.version]
    [status] = installation.monitor.statuses()
    assert "another digest" in status.error
    assert status.generation == 0


def test_a_restored_version_is_judged_after_all(
    installation: Installation, released: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "RETRY_SECONDS", 0.0)
    installation.world.answer(released, 1, ordinary(HOUR * 2, 2))
    path = installation.world.home / "models" / "toy" / "versions" / released.version / "reference.parquet"
    sound = path.read_bytes()
    path.write_bytes(b"something else")
    assert installation.judged() == []
    path.write_bytes(sound)
    assert len(installation.judged()) == 1
    assert installation.monitor.statuses()[0].error == ""


def test_an_unknown_error_about_one_model_does_not_end_the_loop(
    installation: Installation, released: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = installation.world
    other = world.version(loop(model="other"), ordinary(5000, 1), "other")
    world.release(other)
    world.answer(other, 1, ordinary(HOUR * 2, 2))

    class Failing(DeltaLakeReader):
        def revision(self, model: str) -> Hashable:
            if model == "toy":
                raise RuntimeError("a secret path")
            return super().revision(model)

    installation.monitor.lake_reader = Failing(world.lake)
    assert {verdict.model for verdict in installation.judged()} == {"other"}
    error = {status.model: status.error for status in installation.monitor.statuses()}["toy"]
    assert error.startswith("unknown error")
    assert "secret" not in error
    assert (
        installation.metrics.registry.get_sample_value("homeostat_drift_failures_total", {"model": "toy"})
        == 1
    )


# Examinations on request


def test_an_unknown_error_about_the_store_does_not_end_the_loop(
    installation: Installation, released: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor = installation.monitor

    def fail() -> list[str]:
        raise ValueError("odd")

    with monkeypatch.context() as patch:
        patch.setattr(monitor.references, "models", fail)
        assert monitor.step() == 0
    monitor.step()
    assert [status.model for status in monitor.statuses()] == [released.model]


def test_a_request_judges_the_last_complete_window(installation: Installation, released: Manifest) -> None:
    installation.world.answer(released, 1, ordinary(HOUR * 2 + 1, 2))
    verdict, new = installation.monitor.evaluate_now("toy")
    assert (verdict.window_start, verdict.window_end, verdict.detector, new) == (
        minutes(60),
        minutes(120),
        "request",
        True,
    )
    assert installation.monitor.evaluate_now("toy") == (verdict, False)


def test_a_request_may_name_its_window(installation: Installation, released: Manifest) -> None:
    installation.world.answer(released, 1, ordinary(HOUR * 2, 2))
    verdict, _ = installation.monitor.evaluate_now("toy", minutes(10), minutes(50))
    assert (verdict.rows, verdict.state) == (240, "ok")
    with pytest.raises(Conflict, match="already evaluated"):
        installation.monitor.evaluate_now("toy", minutes(20), minutes(50))


def test_an_empty_window_on_request_is_blind(installation: Installation, released: Manifest) -> None:
    installation.world.answer(released, 1, ordinary(HOUR, 2))
    verdict, _ = installation.monitor.evaluate_now("toy", minutes(5000), minutes(5060))
    assert (verdict.state, verdict.rows) == ("insufficient_data", 0)


def test_a_request_does_not_stand_in_for_the_examination(
    installation: Installation, released: Manifest
) -> None:
    installation.world.answer(released, 1, ordinary(HOUR * 2, 2))
    installation.monitor.evaluate_now("toy", minutes(0), minutes(60))
    assert [verdict.detector for verdict in installation.settle()] == ["request", "inputs", "performance"]


def test_requests_that_cannot_be_met(installation: Installation, released: Manifest) -> None:
    with pytest.raises(NotFound, match="no model nobody"):
        installation.monitor.evaluate_now("nobody")
    with pytest.raises(NotFound, match="no predictions yet"):
        installation.monitor.evaluate_now("toy")
    installation.world.answer(released, 1, ordinary(100, 2))
    with pytest.raises(InvalidRequest, match="no complete window"):
        installation.monitor.evaluate_now("toy")


def last_full_poll(installation: Installation) -> datetime | None:
    """When drift was last through with what is due, as Prometheus would see it."""
    name = "homeostat_drift_last_full_poll_timestamp_seconds"
    value = installation.metrics.registry.get_sample_value(name, {"model": "toy"})
    return None if value is None else datetime.fromtimestamp(value, UTC)


@pytest.mark.parametrize(
    ("window", "due"),
    [({"every": "5m"}, 61.0), ({"every": "1d"}, 1471.0), ({"every": "4d"}, 5791.0), ({"rows": 500}, 115.0)],
    ids=["5m", "1d", "4d", "rows"],
)
def test_last_full_poll_stops_at_an_unevaluated_window(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, window: dict[str, object], due: float
) -> None:
    monkeypatch.setattr(monitor, "RETRY_SECONDS", 0.0)
    world = installation.world
    manifest = world.version(loop(drift={"window": {**window, "minimum_rows": 20}}), ordinary(2000, 1))
    world.release(manifest)
    minute = timedelta(minutes=1)
    step = minute if due > 500 else timedelta(seconds=10)
    rows = int((minutes(due) - minutes(0)) / step)
    installation.now = minutes(due - 3)
    world.answer(manifest, 1, ordinary(rows - int(timedelta(minutes=3) / step), 2, step=step), delay=minute)
    before = len(installation.settle())
    # A day without a row, and without a verdict: nothing is due.
    for wait in (0, 600, 1440):
        installation.now = minutes(due + wait)
        installation.judged()
        assert last_full_poll(installation) == installation.now
    assert len(installation.verdicts.latest(None, 1000)) == before

    monkeypatch.setattr(installation.verdicts, "put", _away)
    installation.now = minutes(due + 3000)
    quarter = int(timedelta(minutes=due) / step)
    world.answer(manifest, 1, ordinary(quarter, 3, start=minutes(due), step=step), delay=minute)
    through = last_full_poll(installation)
    for wait in (3000, 3010, 9000):
        installation.now = minutes(due + wait)
        installation.monitor.step()
        assert last_full_poll(installation) == through
    monkeypatch.undo()
    installation.judged()
    assert last_full_poll(installation) == installation.now


def _away(verdict: Verdict, outcomes: OutcomesRead | None = None) -> bool:
    raise DependencyUnavailable(f"no room for {verdict.verdict_id}")


def test_drift_is_through_when_the_last_of_many_windows_is_judged(
    installation: Installation, released: Manifest
) -> None:
    installation.now = minutes(99_999)
    assert installation.monitor.step() == 0
    installation.world.answer(released, 1, ordinary(HOUR * 7, 2))
    seen = []
    for moment in (100_000, 100_001, 100_002):
        installation.now = minutes(moment)
        judged = installation.monitor.step()
        seen.append((judged, last_full_poll(installation)))
    assert seen == [(8, minutes(99_999)), (4, minutes(100_001)), (0, minutes(100_002))]


def test_last_full_poll_stops_without_lake_or_models(
    installation: Installation, released: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.judged()
    through = last_full_poll(installation)
    installation.now += timedelta(hours=1)
    monkeypatch.setattr(installation.monitor, "lake_reader", SilentLake(installation.world.lake))
    installation.monitor.step()
    assert last_full_poll(installation) == through
    monkeypatch.undo()
    monkeypatch.setattr(installation.references, "models", _no_answer)
    installation.monitor.step()
    assert last_full_poll(installation) == through


class SilentLake(DeltaLakeReader):
    """A lake that is away."""

    def revision(self, model: str) -> Hashable:
        raise DependencyUnavailable("the lake does not answer")


def _no_answer(*_: object) -> object:
    raise DependencyUnavailable("the store does not answer")


def test_a_drift_that_begins_anew_was_not_through_before_its_last_verdict(
    installation: Installation, released: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.world.answer(released, 1, ordinary(HOUR * 2, 2))
    [verdict] = installation.judged()
    installation.verdicts.close()
    installation.now += timedelta(days=4)
    installation.restart()
    assert last_full_poll(installation) is None
    monkeypatch.setattr(installation.monitor, "lake_reader", SilentLake(installation.world.lake))
    installation.monitor.step()
    assert last_full_poll(installation) == verdict.reached_at


def test_windows_of_a_model_without_loss_are_judged_when_they_are_full(installation: Installation) -> None:
    spec = loop(prediction={"kind": "embedding", "size": 2})
    manifest = installation.world.version(spec, ordinary(5000, 1) | {"scores": [[0.5, 1.0]] * 5000})
    installation.world.release(manifest)
    installation.world.answer(manifest, 1, ordinary(HOUR * 2 + 1, 2), delay=None)
    verdicts = installation.settle()
    assert [(verdict.window_end, verdict.detector) for verdict in verdicts] == [
        (minutes(60), "inputs"),
        (minutes(120), "inputs"),
    ]
    assert [(verdict.state, verdict.outcomes, verdict.loss) for verdict in verdicts] == [("ok", 0, None)] * 2
    [status] = installation.monitor.statuses()
    assert (status.inputs.next_window_end, status.inputs.due_at) == (minutes(180), minutes(180))
    assert (status.performance, status.outcomes, status.state) == (None, None, "ok")
    assert status.error == ""


def test_processes_that_share_models_judge_each_window_once(
    installation: Installation, released: Manifest
) -> None:
    """The first one judges until it gives the model up; the second one goes on from what the store has."""
    world, everything = installation.world, frozenset(range(SHARDS))
    installation.verdicts.close()
    first, second = (
        Installation(world, ownership=SharedModels(world.home / "drift" / "shards", streams=False))
        for _ in range(2)
    )
    shares = [one.ownership for one in (first, second) if isinstance(one.ownership, SharedModels)]
    for share in shares:
        share.follow(everything, 0.0)
    world.answer(released, 1, ordinary(HOUR * 3, 2))
    assert second.settle() == []
    verdicts = first.settle()
    states = {verdict.verdict_id: verdict for verdict in verdicts}
    assert len(verdicts) == len(states) == 4
    assert second.settle() == verdicts, "the store is the same"
    [status] = second.monitor.statuses()
    assert (status.model, status.inputs.evaluated_until) == ("toy", minutes(120))
    series = "homeostat_drift_window_rows"
    assert first.metrics.registry.get_sample_value(series, {"model": "toy"}) == 360
    assert second.metrics.registry.get_sample_value(series, {"model": "toy"}) is None

    shares[0].follow(frozenset(), 0.0)
    shares[1].follow(everything, 0.0)
    world.answer(released, 1, ordinary(HOUR * 2, 3, start=minutes(180)))
    assert first.settle() == verdicts
    assert first.metrics.registry.get_sample_value(series, {"model": "toy"}) is None
    after = second.settle()
    assert after[: len(verdicts)] == verdicts
    ends = [verdict.window_end for verdict in after if verdict.detector == "inputs"]
    assert ends == [minutes(60), minutes(120), minutes(180), minutes(240)]
    assert second.metrics.registry.get_sample_value(series, {"model": "toy"}) == 360
    first.verdicts.close()
    second.verdicts.close()


def test_model_of_another_process_is_evaluated_on_request_without_series(
    installation: Installation, released: Manifest
) -> None:
    world = installation.world
    installation.verdicts.close()
    other = Installation(world, ownership=SharedModels(world.home / "drift" / "shards", streams=False))
    world.answer(released, 1, ordinary(HOUR * 3, 2))
    verdict, new = other.monitor.evaluate_now("toy")
    assert (verdict.detector, new) == ("request", True)
    assert other.monitor.evaluate_now("toy") == (verdict, False)
    other.monitor.step()
    found = [line for family in other.metrics.registry.collect() for line in family.samples]
    assert [sample.name for sample in found if sample.labels.get("model") == "toy"] == []
    other.verdicts.close()
