from __future__ import annotations

from loadtests.gpu.limits import Report


def test_missed_bars_are_named() -> None:
    report = Report()
    report.at_most("growth", 64.0, 64.0, " MiB")
    report.at_least("speed", 0.9, 0.9)
    assert report.missed == []
    report.at_most("growth", 64.5, 64.0, " MiB")
    report.at_least("speed", 0.89, 0.9)
    report.at_least("speed of nothing", float("nan"), 0.9)
    assert report.missed == ["growth", "speed", "speed of nothing"]
    assert report.lines[0] == "growth: 64 MiB (bar: at most 64 MiB, met)"
    assert report.lines[3] == "speed: 0.89 (bar: at least 0.9, MISSED)"
