"""What drift concludes about the rows that were injected."""

from __future__ import annotations

import time
from typing import Any

from local_stack.fault_injection.timeline import Timeline
from shared.errors import HomeostatError
from shared.http.service_client import ServiceClient, items

PAUSE_S = 0.5
LIMIT = 50


def wait_for_verdict(
    drift: ServiceClient, model: str, generation: int, timeline: Timeline, *, within_s: float
) -> dict[str, Any] | None:
    """The newest verdict about the timeline's windows; None where there is none in time.

    Where the windows cannot fill by themselves, because the present comes first, drift is asked to judge the stretch now.
    """
    if timeline.last is None:
        window = {"start": timeline.start.isoformat(), "end": timeline.end.isoformat()}
        return dict(drift.post(f"/models/{model}/evaluations", dict(window)))
    start, end = timeline.start.isoformat(), timeline.end.isoformat()
    ends = time.monotonic() + within_s
    while True:
        try:
            found = items(drift.get("/verdicts", model=model, limit=LIMIT), "verdicts")
        except HomeostatError:  # drift may be what is away just now
            found = []
        ours = [
            verdict
            for verdict in found
            if verdict["generation"] == generation
            and _moment(verdict["window_start"]) >= _moment(start)
            and _moment(verdict["window_start"]) < _moment(end)
            and verdict["rows"] > 0
        ]
        # All windows but the last may be judged while the last is still read.
        if any(_moment(verdict["window_end"]) >= _moment(end) for verdict in ours) or (
            ours and time.monotonic() >= ends
        ):
            return max(ours, key=lambda verdict: _moment(verdict["window_end"]))
        if time.monotonic() >= ends:
            return None
        time.sleep(PAUSE_S)


def _moment(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()
