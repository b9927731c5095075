"""The long form of tests/integration/inference/test_bad_candidates.py: 200 swaps, and a fifth as many bad candidates."""

from __future__ import annotations

from collections import Counter
from itertools import cycle, islice
from pathlib import Path

import pytest

from tests.fakes.swap_storm import BAD, MIB, storm_on_new_server

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3600)]

BLOCKS = 8
GOOD = 160
BAD_CANDIDATES = list(islice(cycle(BAD), GOOD // 4))


def test_two_hundred_candidates_a_fifth_bad(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = storm_on_new_server(
        tmp_path,
        capsys,
        BAD_CANDIDATES,
        candidate_seconds=2,
        blocks=BLOCKS,
        good_per_block=GOOD // BLOCKS,
        steady_seconds=10,
        per_second=600,
    )
    assert Counter(found.refused) == Counter(BAD_CANDIDATES)
    assert found.per_second >= 500
    assert found.p99(found.swapping) <= 1.5 * found.p99(found.steady)
    assert found.growth_bytes <= 16 * MIB
