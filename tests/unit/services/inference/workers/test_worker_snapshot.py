from __future__ import annotations

import math

from services.inference.workers.worker_snapshot import Family, WorkerSnapshot


def test_snapshot_is_read_back_with_missing_values() -> None:
    family = Family("age", "Age.", "gauge", [("age", {}, math.nan), ("age", {"model": "toy"}, 2.5)])
    found = WorkerSnapshot.load(WorkerSnapshot("process", 7, {"ready": True}, [family]).dump())
    assert (found.process, found.pid, found.status) == ("process", 7, {"ready": True})
    [(name, labels, value), second] = found.families[0].samples
    assert (name, labels, math.isnan(value)) == ("age", {}, True)
    assert second == ("age", {"model": "toy"}, 2.5)
