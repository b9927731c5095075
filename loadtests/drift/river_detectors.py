"""River's detectors on the one column that changes, with their defaults; only where River is installed."""

from __future__ import annotations

import importlib
import importlib.util

import numpy as np

from loadtests.drift.delays import MAXIMUM_ROWS

NAMES = ("ADWIN", "PageHinkley", "KSWIN")
BEFORE, AFTER, CLEAN = 10_000, 20_000, 100_000


def measure_river(runs: int = 5, seed: int = 17) -> list[str]:
    """A line per detector: mean rows to the alarm for each shift, and false alarms per 100,000 rows of one column."""
    if importlib.util.find_spec("river") is None:
        return ["River: skipped, it is not installed (pip install river, in an environment of its own)"]
    drift = importlib.import_module("river.drift")

    lines = []
    for name in NAMES:
        make = getattr(drift, name)
        clean, detector = (
            np.random.default_rng(seed).standard_normal(CLEAN // (10 if name == "KSWIN" else 1)),
            make(),
        )
        false = 0
        for value in clean:
            detector.update(value)
            false += bool(detector.drift_detected)
        found = []
        for shift in MAXIMUM_ROWS:
            delays = []
            for run in range(runs):
                random, detector = np.random.default_rng([seed, run]), make()
                for value in random.standard_normal(BEFORE):
                    detector.update(value)
                for row, value in enumerate(random.standard_normal(AFTER) + shift, 1):
                    detector.update(value)
                    if detector.drift_detected:
                        delays.append(row)
                        break
            found.append(
                f"{shift} sd {np.mean(delays) if delays else float('nan'):.0f} ({len(delays)}/{runs})"
            )
        lines.append(
            f"River {name}: {', '.join(found)}; false alarms per 100,000 rows {false * CLEAN / clean.size:.1f}"
        )
    return lines
