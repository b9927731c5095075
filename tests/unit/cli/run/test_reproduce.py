"""`homeostat reproduce`: what a person reads of the comparison."""

from __future__ import annotations

from typing import Any

from cli.run.reproduce import text_of

FOUND: dict[str, Any] = {
    "model": "parcels",
    "version": "3" * 64,
    "origin": "run",
    "run_id": "run-1",
    "train_rows": 900,
    "holdout_rows": 100,
    "expected_digest": "a" * 64,
    "digest": "a" * 64,
    "equal": True,
}


def test_equal_rows_and_model() -> None:
    trained = {"model_equal": True, "largest_difference": 0.0, "metrics": {"loss": {"then": 0.5, "now": 0.5}}}
    text = text_of({**FOUND, "trained": trained})
    assert "900 training rows and 100 holdout rows are the same, byte by byte" in text
    assert "the model trained again is the same, byte by byte" in text
    assert "loss: 0.5 then, 0.5 now" in text


def test_other_rows_say_why_they_may_differ() -> None:
    text = text_of({**FOUND, "equal": False, "digest": "b" * 64, "holdout_rows": 0})
    assert "900 training rows differ (digest bbbbbbbbbbbb)" in text
    assert "rows with digest aaaaaaaaaaaa: rows were erased since then" in text
