"""The clock of inputs: windows close by predictions alone. More in test_monitor.py, with the whole monitor."""

from __future__ import annotations

from services.drift.monitoring.inputs_clock import ClockProgress, InputsClock
from services.drift.outcome_readiness import Watermarks
from services.drift.verdicts.positions import Generation
from shared.contracts.verdict import Verdict
from tests.unit.services.drift.installation import Installation
from tests.unit.services.drift.world import loop, minutes, ordinary

HOUR = 360  # rows


def test_no_more_windows_than_the_limit_are_judged(installation: Installation) -> None:
    world = installation.world
    manifest = world.version(loop(), ordinary(5000, 1))
    world.release(manifest)
    world.answer(manifest, 1, ordinary(HOUR * 3 + 1, 2), delay=None)
    monitor = installation.monitor
    for seen in installation.lake_reader.generations("toy", 0):
        installation.verdicts.put_generation("toy", seen)
    clock = InputsClock(monitor.references, monitor.lake_reader, monitor.evaluation, monitor.verdicts)
    watermarks = Watermarks(minutes(180), None)
    judged: list[Verdict] = []

    def take(verdict: Verdict, delay: object) -> None:
        assert delay is None
        judged.append(verdict)

    assert clock.judge_due("toy", watermarks, 2, take) == ClockProgress(2)
    assert clock.judge_due("toy", watermarks, 2, take) == ClockProgress(1, minutes(240), minutes(240))
    assert clock.judge_due("toy", watermarks, 2, take) == ClockProgress(0, minutes(240), minutes(240))
    assert [verdict.window_end for verdict in judged] == [minutes(60), minutes(120), minutes(180)]
    assert installation.verdicts.generations("toy")[0].inputs_until == minutes(180)


def test_a_watermark_that_a_person_set_back_is_followed(installation: Installation) -> None:
    """The generation's first row was of another time, so windows went on from there; the row is set aside by now."""
    world = installation.world
    manifest = world.version(loop(), ordinary(5000, 1))
    world.release(manifest)
    far = minutes(60 * 24 * 400)
    installation.verdicts.put_generation("toy", Generation(1, manifest.version, far, far, far))
    world.answer(manifest, 1, ordinary(HOUR * 2 + 1, 2), delay=None)
    monitor = installation.monitor
    clock = InputsClock(monitor.references, monitor.lake_reader, monitor.evaluation, monitor.verdicts)
    watermarks = Watermarks(minutes(120), None)
    judged: list[Verdict] = []
    assert clock.judge_due("toy", watermarks, 4, lambda verdict, _: judged.append(verdict)).judged == 2
    assert [verdict.window_end for verdict in judged] == [minutes(60), minutes(120)]
    [seen] = installation.verdicts.generations("toy")
    assert (seen.first, seen.inputs_until) == (minutes(0), minutes(120))
    # Further back: windows that have a verdict are not judged again.
    assert clock.judge_due("toy", Watermarks(minutes(70), None), 4, lambda *_: None).judged == 0
    assert installation.verdicts.generations("toy")[0].inputs_until == minutes(60)
    assert clock.judge_due("toy", watermarks, 4, lambda *_: None).judged == 1


def test_a_watermark_before_the_first_row_of_the_generation_moves_no_position(
    installation: Installation,
) -> None:
    """Only rows of an earlier generation lie before the corrected watermark: the newest one goes on where it is."""
    world = installation.world
    manifest = world.version(loop(), ordinary(5000, 1))
    world.release(manifest)
    world.answer(manifest, 1, ordinary(HOUR * 2 + 1, 2), delay=None)
    monitor = installation.monitor
    for seen in installation.lake_reader.generations("toy", 0):
        installation.verdicts.put_generation("toy", seen)
    clock = InputsClock(monitor.references, monitor.lake_reader, monitor.evaluation, monitor.verdicts)
    assert clock.judge_due("toy", Watermarks(minutes(120), None), 4, lambda *_: None).judged == 2
    before = installation.verdicts.generations("toy")
    assert clock.judge_due("toy", Watermarks(minutes(-5), None), 4, lambda *_: None).judged == 0
    assert installation.verdicts.generations("toy") == before
