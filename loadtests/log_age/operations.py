"""One operation on a log, in a process of its own: its CPU time and the peak memory of the process, as JSON.

python -m loadtests.log_age.operations LAKE ROWS OPERATION [PREDICTION_ID …]
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from loadtests.log_age.aged_log import END, MODEL, start_of
from services.drift.monitoring.lake_reader import DeltaLakeReader
from services.retraining.runs.data_snapshot import take_snapshot
from services.retraining.runs.workspace import RunFolder
from services.retraining.snapshots.pin import pin_lake
from shared.contracts.loop_spec import LoopSpec
from shared.stores.lake import Lake
from shared.stores.prediction_lookup import find_prediction

_WINDOW = timedelta(days=4)
REPEATS = {"snapshot": 1}


def loop_spec() -> LoopSpec:
    """The model of the log: twelve numbers, a probability, trained on all rows."""
    return LoopSpec.model_validate(
        {
            "model": MODEL,
            "features": [{"name": f"number_{place}", "type": "number"} for place in range(12)],
            "prediction": {"kind": "probability", "output": "score"},
            "outcome": {"delay": "2h"},
            "metric": {"name": "brier"},
            "drift": {"window": {"every": "4d"}},
            "retraining": {"command": ["none"]},
            "gate": {"holdout": "7d"},
        }
    )


def operations(root: str, rows: int, ids: list[str]) -> dict[str, Callable[[], object]]:
    """Every operation by name; each may be repeated."""
    lake = Lake(root)
    reader = DeltaLakeReader(lake)
    spec, asked = loop_spec(), iter(ids * 100)

    def window(end: datetime) -> object:
        return lake.read_joined(MODEL, end - _WINDOW, end, features=spec.features, columns=["score"])

    def look() -> object:
        reader.revision(MODEL)
        reader.watermarks(MODEL)
        return reader.generations(MODEL, 1)

    def snapshot() -> object:
        pin = pin_lake(lake, MODEL, (), END)
        assert pin is not None
        with tempfile.TemporaryDirectory(dir=Path(root).parent) as folder:
            return take_snapshot(lake, spec, pin, None, RunFolder(Path(folder)))

    return {
        "open": lambda: Lake(root).snapshot(MODEL),
        "look": look,
        "newest-window": lambda: window(END),
        "old-window": lambda: window(start_of(rows) + 2 * _WINDOW),
        "why": lambda: find_prediction(lake, next(asked)),
        "snapshot": snapshot,
    }


def main() -> None:
    """Run it once, then measure."""
    root, rows, name, *ids = sys.argv[1:]
    work = operations(root, int(rows), ids)[name]
    begun = time.process_time()
    work()
    first = time.process_time() - begun
    repeats = REPEATS.get(name, 5)
    begun = time.process_time()
    for _ in range(repeats):
        work()
    cpu = (time.process_time() - begun) / repeats
    print(json.dumps({"first_s": first, "cpu_s": cpu, "peak_mib": peak_mib()}), flush=True)


def peak_mib() -> float:
    """Peak memory of this process since its start; `getrusage` would count that of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024  # type: ignore[index]


if __name__ == "__main__":
    main()
