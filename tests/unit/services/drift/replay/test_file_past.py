from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from services.drift.evaluation.evaluator import Evaluator
from services.drift.replay.file_past import checked, file_past, file_reference
from services.drift.replay.windows_replay import Replay, Replayed
from services.drift.verdicts.store import VerdictStore
from shared.errors import ProjectError
from tests.unit.services.drift.distances import ScipyDistances
from tests.unit.services.drift.world import loop, minutes, ordinary

SPEC = loop()
HOUR = 360


def rows(shift: float) -> pa.Table:
    """Two calm hours, then two with x moved."""
    calm, moved = ordinary(2 * HOUR, 2), ordinary(2 * HOUR, 3, start=minutes(120), shift=shift)
    return pa.concat_tables([pa.table(calm), pa.table(moved)])


def replayed(folder: Path, table: pa.Table, *, stream: bool = False) -> Replayed:
    past = file_past(SPEC, table, file_reference(SPEC, pa.table(ordinary(5000, 1)), "ab" * 32))
    store = VerdictStore(folder / "verdicts.sqlite")
    try:
        return Replay(past, Evaluator(ScipyDistances()), store, stream=stream).run()
    finally:
        store.close()


def test_every_window_of_a_file_is_judged_by_both_clocks(tmp_path: Path) -> None:
    # In any order: the rows are sorted by event time.
    shuffled = rows(1.0).take(np.random.default_rng(1).permutation(4 * HOUR))
    found = replayed(tmp_path, shuffled)
    states = {(one.detector, one.window_end): one.state for one in found.verdicts}
    # The last window is open: a later row could still belong to it.
    assert states == {
        ("inputs", minutes(60)): "ok",
        ("inputs", minutes(120)): "ok",
        ("inputs", minutes(180)): "drift",
        ("performance", minutes(60)): "ok",
        ("performance", minutes(120)): "ok",
        ("performance", minutes(180)): "ok",
    }
    assert {one.outcomes for one in found.verdicts if one.detector == "performance"} == {HOUR}


def test_stream_detectors_find_the_change_inside_its_window(tmp_path: Path) -> None:
    found = replayed(tmp_path, rows(1.0), stream=True)
    [alarm, *_] = [one for one in found.verdicts if one.detector == "stream"]
    assert alarm.state == "drift"
    assert alarm.top_drifted_features == ("x",)
    assert minutes(120) < alarm.window_end < minutes(150)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop_columns(["event_time"]), "the rows have no column event_time"),
        (lambda table: table.drop_columns(["x"]), "the rows do not fit loop.yaml: there is no column x"),
        (
            lambda table: table.set_column(1, "x", pa.array(["far"] * len(table))),
            "the rows do not fit loop.yaml: x is string",
        ),
        (
            lambda table: table.set_column(0, "event_time", pa.array(["noon"] * len(table))),
            "event_time of the rows cannot be read as times",
        ),
        (
            lambda table: table.set_column(
                0, "event_time", pc.if_else(pc.equal(table["x"], table["x"][0]), None, table["event_time"])
            ),
            "event_time of the rows has 1 missing values",
        ),
    ],
)
def test_rows_that_do_not_fit_are_refused(change: object, message: str) -> None:
    assert callable(change)
    with pytest.raises(ProjectError, match=message):
        checked(change(pa.table(ordinary(50, 1))), SPEC, "the rows")


def test_a_fault_that_the_stream_found_makes_its_window_faulty_as_in_the_service(tmp_path: Path) -> None:
    calm = pa.table(ordinary(2 * HOUR, 2))
    scaled = pa.table(ordinary(2 * HOUR, 3, start=minutes(120)))
    scaled = scaled.set_column(1, "x", pc.multiply(scaled["x"], 10.0))
    states = {
        stream: {
            one.window_end: one.state
            for one in replayed(
                tmp_path / str(stream), pa.concat_tables([calm, scaled]), stream=stream
            ).verdicts
            if one.detector == "inputs"
        }
        for stream in (False, True)
    }
    assert states[False][minutes(180)] == "drift"
    assert states[True][minutes(180)] == "data_fault"
    assert states[True][minutes(60)] == "ok"
