from __future__ import annotations

import numpy as np

from services.drift.stream.detector import StreamDetector
from services.drift.stream.stream_profile import StreamProfile
from tests.unit.services.drift.stream.streams import reference, shifted, table, tiles


def test_only_shifted_columns_are_blamed() -> None:
    profile = StreamProfile.of(reference(10_000, 1, numbers=8), 1.0)
    wrong = right = 0
    for seed in range(20):
        rows = shifted(table(1_000, 100 + seed, numbers=8), {"x1": 2.0, "x6": 7.0}, since=0)
        detector = StreamDetector(profile)
        alarms = [alarm for tile in tiles(profile.layout, rows) for alarm in detector.step(tile)]
        named = {feature for alarm in alarms for feature in alarm.features}
        right += len(named & {"x1", "x6"})
        wrong += len(named - {"x1", "x6"})
    assert right == 40
    assert wrong <= 2


def test_blamed_columns_are_sorted_by_evidence() -> None:
    profile = StreamProfile.of(reference(10_000, 1, numbers=4), 1.0)
    rows = shifted(table(50, 7, numbers=4), {"x0": 2.0, "x3": 3.0 * 4}, since=0)
    (alarm,) = StreamDetector(profile).step(tiles(profile.layout, rows)[0])
    evidence = [blame.evidence for blame in alarm.blamed]
    assert alarm.features == ("x3", "x0")
    assert evidence == sorted(evidence, reverse=True)
    assert np.isfinite(evidence).all()
