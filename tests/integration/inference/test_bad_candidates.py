"""Swaps under load with bad candidates in between, on a real server; the long form is in tests/chaos."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.swap_storm import MIB, storm
from tests.fakes.toy_model import ToyStore
from tests.integration.inference.conftest import InferenceProcess
from tests.waiting import bound


def test_bad_candidates_leave_answers_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toys = ToyStore(tmp_path)
    server = InferenceProcess(toys.home, HOMEOSTAT_INFERENCE_CANDIDATE_SECONDS=str(bound(1.5)))
    try:
        server.wait_live()
        found = storm(
            server,
            toys,
            ["NaN", "crash at scoring", "hang at scoring"],
            blocks=1,
            good_per_block=9,
            steady_seconds=2,
            per_second=500,
            warm_blocks=0,
        )
    finally:
        server.stop()
    with capsys.disabled():
        print("", found.line())
    assert (found.record.failed, found.record.failures) == (0, [])
    assert found.mixed() == []
    assert found.refused == ["NaN", "crash at scoring", "hang at scoring"]
    assert set(found.good) <= {generation for _, generation, _ in found.record.said}
    # Less than a hang lasts, on any machine; the long form compares with the quiet seconds.
    assert found.p99(found.swapping) < max(1.5 * found.p99(found.steady), bound(1))
    assert found.growth_bytes < 32 * MIB
