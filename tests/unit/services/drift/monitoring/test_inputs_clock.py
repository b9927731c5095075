"""The clock of inputs: windows close by predictions alone. More in test_monitor.py, with the whole monitor."""

from __future__ import annotations

from services.drift.monitoring.inputs_clock import ClockProgress, InputsClock
from services.drift.outcome_readiness import Watermarks
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
