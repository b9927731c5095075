from __future__ import annotations

import numpy as np

from services.drift.stream_monitor.row_numbers import RowNumbers


def test_repeats_are_found_per_stream() -> None:
    seen = RowNumbers()
    assert seen.first_new(("m", "w", 1), np.arange(5)) == 0
    assert seen.first_new(("m", "w", 1), np.arange(5)) == 5
    assert seen.first_new(("m", "w", 1), np.array([3, 4, 9])) == 2
    assert seen.first_new(("m", "w", 2), np.arange(5)) == 0, "another epoch"
    assert seen.first_new(("other", "w", 1), np.arange(5)) == 0, "another model"


def test_repeat_does_not_take_the_numbers_back() -> None:
    seen = RowNumbers()
    seen.first_new(("m", "w", 1), np.arange(10))
    seen.first_new(("m", "w", 1), np.arange(3))
    assert seen.first_new(("m", "w", 1), np.arange(10)) == 10


def test_streams_silent_longest_are_forgotten() -> None:
    seen = RowNumbers(kept=2)
    for writer in ("a", "b", "a", "c"):
        seen.first_new(("m", writer, 1), np.arange(3))
    assert seen.as_mapping() == {("m", "a", 1): 2, ("m", "c", 1): 2}
    again = RowNumbers(seen.as_mapping(), kept=2)
    assert again.first_new(("m", "c", 1), np.array([2, 3])) == 1
