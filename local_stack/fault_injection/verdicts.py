"""The verdict about injected rows."""

from __future__ import annotations

import time
from typing import Any

from local_stack.fault_injection.timeline import Timeline
from shared.errors import HomeostatError, OperatorError
from shared.http.service_client import ServiceClient, items

PAUSE_S = 0.5
LIMIT = 50


def wait_for_verdict(
    drift: ServiceClient,
    model: str,
    generation: int,
    timeline: Timeline,
    *,
    within_s: float,
    with_performance: bool = True,
) -> dict[str, Any] | None:
    """The verdict about the last of the timeline's windows; None on timeout.

    That on its inputs if it is drift or a data fault, else that on its performance, unless the model has none
    (`with_performance`). On timeout the newest one that there is. If the timeline has no last row, an evaluation of its range is
    requested.
    """
    start, end = timeline.start.isoformat(), timeline.end.isoformat()
    ends = time.monotonic() + within_s
    if timeline.last is None:
        return _requested(drift, model, {"start": start, "end": end}, ends)
    while True:
        try:
            found = items(drift.get("/verdicts", model=model, limit=LIMIT), "verdicts")
        except HomeostatError:  # drift may be unavailable because of the injected fault
            found = []
        ours = [
            verdict
            for verdict in found
            if verdict["generation"] == generation
            and _timestamp(verdict["window_start"]) >= _timestamp(start)
            and _timestamp(verdict["window_start"]) < _timestamp(end)
            and verdict["rows"] > 0
        ]
        # Verdicts about earlier windows may come before those of the last.
        last = {
            verdict["detector"]: verdict
            for verdict in ours
            if _timestamp(verdict["window_end"]) >= _timestamp(end)
        }
        inputs = last.get("inputs")
        if inputs is not None and (inputs["state"] in ("drift", "data_fault") or not with_performance):
            return inputs
        if "performance" in last:
            return last["performance"]
        if time.monotonic() >= ends:
            return max(ours, key=lambda verdict: _timestamp(verdict["window_end"]), default=None)
        time.sleep(PAUSE_S)


def _requested(drift: ServiceClient, model: str, window: dict[str, object], ends: float) -> dict[str, Any]:
    while True:
        try:
            return dict(drift.post(f"/models/{model}/evaluations", window))
        except OperatorError as error:  # drift is busy, or loads what it compares columns with
            if error.status != 503 or time.monotonic() >= ends:
                raise
            time.sleep(PAUSE_S)


def _timestamp(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()
