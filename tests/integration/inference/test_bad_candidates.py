"""Swaps under load with bad candidates in between, on a real server; the long form is in tests/chaos."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.swap_storm import MIB, storm_on_new_server
from tests.waiting import bound

KINDS = ["NaN", "crash at scoring", "hang at scoring"]


def test_bad_candidates_leave_answers_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = storm_on_new_server(
        tmp_path,
        capsys,
        KINDS,
        candidate_seconds=1.5,
        blocks=1,
        good_per_block=9,
        steady_seconds=2,
        per_second=500,
        warm_blocks=0,
    )
    assert found.refused == KINDS
    assert set(found.good) <= {generation for _, generation, _ in found.record.answers}
    # Less than a hang lasts, on any machine; the long form compares with the quiet seconds.
    assert found.p99(found.swapping) < max(1.5 * found.p99(found.steady), bound(1))
    assert found.growth_bytes < 32 * MIB
