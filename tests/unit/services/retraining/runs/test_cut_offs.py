"""The intervals of a snapshot, and how a reason names them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.retraining.runs.cut_offs import cut_offs, explain_cut_offs
from shared.contracts.loop_spec import LoopSpec
from tests.fakes.retraining_installation import loop_with

WATERMARK = datetime(2013, 1, 31, 12, 30, tzinfo=UTC)


def spec_with(**retraining: object) -> LoopSpec:
    return LoopSpec.model_validate(loop_with(outcome={"delay": "3d"}, retraining=retraining))


def test_intervals_are_counted_back_from_the_newest_prediction() -> None:
    cut = cut_offs(spec_with(window={"use": "last", "span": "10d"}), WATERMARK)
    assert cut.settled == WATERMARK - timedelta(days=3)
    assert cut.holdout_from == WATERMARK - timedelta(days=8)
    assert cut.training_until == WATERMARK - timedelta(days=11)
    assert cut.training_from == WATERMARK - timedelta(days=21)
    assert cut.training() == "from 2013-01-10 12:30 until 2013-01-20 12:30"
    assert cut.holdout() == "from 2013-01-23 12:30 to 2013-01-28 12:30"


def test_training_without_span_begins_at_the_first_row() -> None:
    cut = cut_offs(spec_with(), WATERMARK)
    assert cut.training() == "from the first row until 2013-01-20 12:30"


def test_explanation_names_the_settings() -> None:
    spec = spec_with()
    assert explain_cut_offs(spec, cut_offs(spec, WATERMARK)) == (
        "The newest prediction is of 2013-01-31 12:30: the last 3 d before it (outcome.delay) are not used, the 5 d before "
        "those (gate.holdout) are the holdout, and the 3 d before it are not used either, because their outcomes become known "
        "during the holdout. Wait until there are predictions and outcomes for these intervals, or change gate.holdout or the "
        "minimum in loop.yaml and deploy again"
    )
