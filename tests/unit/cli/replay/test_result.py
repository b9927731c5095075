from __future__ import annotations

from cli.replay.result import ReplayResult
from shared.errors import OperatorError


def test_result_is_one_line_and_a_document() -> None:
    result = ReplayResult("toy", answered=8, refused=1, lost=1, outcomes=4, seconds=2.0)
    assert result.text() == (
        "toy: 10 rows, 8 answered, 1 refused, 1 without an answer, 4 outcomes, 5 rows per second"
    )
    document = result.document()
    assert (document["rows"], document["rows_per_second"], document["reasons"]) == (10, 5.0, [])
    assert "error" not in document


def test_error_that_ended_it_is_in_the_document() -> None:
    document = ReplayResult("toy", stopped_by=OperatorError("away", hint="start it")).document()
    assert (document["error"], document["hint"]) == ("away", "start it")


def test_first_reasons_are_kept_once() -> None:
    result = ReplayResult("toy")
    for number in (0, 0, *range(10)):
        result.add_reason(f"reason {number}")
    assert result.reasons == [f"reason {number}" for number in range(5)]
