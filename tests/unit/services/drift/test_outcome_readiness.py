"""When a window can be evaluated: outcomes due and complete, or waited for long enough."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.drift.outcome_readiness import Watermarks, progress, ready_until
from services.drift.windows import Span
from tests.unit.services.drift.world import minutes

DELAY = timedelta(minutes=30)
FIRST = Span(minutes(0), minutes(60))


@pytest.mark.parametrize(
    ("predictions", "outcomes", "expected"),
    [
        (None, None, "open"),
        (59, 59, "open"),
        (60, 60, "closed"),
        (89.9, 200, "closed"),  # outcomes are not due
        (90, 89.9, "closed"),  # due, but not in
        (90, None, "closed"),
        (90, 90, "ready"),
        (149.9, None, "closed"),
        (150, None, "ready"),  # a silent feed is waited for one more window
        (150, 10, "ready"),
    ],
)
def test_a_window_waits_for_its_outcomes(
    predictions: float | None, outcomes: float | None, expected: str
) -> None:
    marks = Watermarks(*(None if at is None else minutes(at) for at in (predictions, outcomes)))
    assert progress(FIRST, marks, DELAY) == expected


MARKS = st.one_of(st.none(), st.integers(min_value=0, max_value=2000).map(minutes))


@given(
    MARKS,
    MARKS,
    st.integers(min_value=1, max_value=200),
    st.integers(min_value=0, max_value=200),
    st.integers(min_value=0, max_value=2000),
)
def test_ready_until_is_the_last_end_that_is_ready(
    predictions: datetime | None, outcomes: datetime | None, length: int, delay: int, end: int
) -> None:
    marks, late = Watermarks(predictions, outcomes), timedelta(minutes=delay)
    span = Span(minutes(end - length), minutes(end))
    due, wait = span.end + late, max(span.length, late)
    in_time = predictions is not None and outcomes is not None and min(predictions, outcomes) >= due
    waited = predictions is not None and predictions >= due + wait
    assert (progress(span, marks, late) == "ready") == (in_time or waited)
    limit = ready_until(marks, span.length, late)
    assert (limit is not None and span.end <= limit) == (in_time or waited)


@pytest.mark.parametrize(
    ("predictions", "expected"), [(None, "open"), (59, "open"), (60, "ready"), (200, "ready")]
)
def test_a_window_of_a_model_without_outcomes_waits_for_predictions(
    predictions: float | None, expected: str
) -> None:
    marks = Watermarks(None if predictions is None else minutes(predictions), None)
    assert progress(FIRST, marks, None) == expected
