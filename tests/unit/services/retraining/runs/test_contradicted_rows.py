from __future__ import annotations

import pyarrow as pa
import pytest

from services.retraining.runs.contradicted_rows import excess_contradictions
from shared.contracts.loop_spec import LoopSpec
from tests.fakes.retraining_installation import loop_with


def marked(rows: int, contradicted: int) -> pa.ChunkedArray:
    senders = [["sensors", "shop"]] * contradicted + [None] * (rows - contradicted)
    return pa.chunked_array([senders], pa.list_(pa.string()))


@pytest.mark.parametrize(
    ("contradictions", "contradicted", "is_excess"),
    [
        (0.05, 0, False),
        (0.05, 50, False),
        (0.05, 77, False),
        (0.05, 78, True),
        (0.2, 78, False),
        (1, 1000, False),
    ],
)
def test_corrections_within_the_tolerance_are_ordinary(
    contradictions: float, contradicted: int, is_excess: bool
) -> None:
    outcome = {"delay": "2h", "contradictions": contradictions}
    found = excess_contradictions(
        marked(1000, contradicted), LoopSpec.model_validate(loop_with(outcome=outcome))
    )
    assert bool(found) == is_excess
    if is_excess:
        assert found == (
            "78 of 1000 outcomes contradict another one of the same prediction; outcome.contradictions is 0.05; "
            "they were sent by sensors (78), shop (78)"
        )


def test_no_rows_are_no_excess() -> None:
    assert excess_contradictions(marked(0, 0), LoopSpec.model_validate(loop_with())) == ""
