"""After a rollback a challenger is judged on rows since the release that was taken back: the older ones favoured it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from services.retraining.dependencies import Dependencies
from services.retraining.ledger.records import Run
from services.retraining.ledger.watches import Watch
from services.retraining.runs.cut_offs import cut_offs
from services.retraining.runs.data_snapshot import snapshot_marks
from services.retraining.snapshots.pin import Pin, pin_lake
from shared.contracts.loop_spec import LoopSpec


def without_rows_before_rollback(pin: Pin, spec: LoopSpec, watches: Sequence[Watch]) -> Pin:
    """The pin, with the part of the holdout left out that is older than the last release that the loop took back.

    The gate had accepted that release on these rows, and the same training would be accepted on them again. If too few rows are
    left, the run is abandoned before it trains, and its budget is returned.
    """
    failed_since = [
        watch.rows_from for watch in watches if watch.state == "rolled_back" and watch.rows_from is not None
    ]
    if not failed_since:
        return pin
    holdout_from, since = (
        cut_offs(spec, datetime.fromisoformat(pin.watermark)).holdout_from,
        max(failed_since),
    )
    if since <= holdout_from:
        return pin
    return replace(pin, faulty=(*pin.faulty, (holdout_from.isoformat(), since.isoformat())))


def pin_rows(deps: Dependencies, run: Run) -> Pin | None:
    """What a run reads if it begins now: the newest table versions, without windows with data faults and rows before a rollback.

    None if the lake has no prediction or no outcome of its model. The ledger records how far these versions were stored.
    Raises DependencyUnavailable.
    """
    faulty = deps.ledger.faulty_windows(run.model) if deps.settings.bad_windows else []
    pin = pin_lake(deps.lake, run.model, faulty, deps.clock())
    if pin is None:
        return None
    marks = snapshot_marks(deps.lake, run.loop, pin)
    deps.ledger.snapshot_marks.record(run.run_id, marks.to_json())
    return without_rows_before_rollback(pin, run.loop, deps.ledger.watches.of_model(run.model))
