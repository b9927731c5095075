"""The longer form of the crash tests: `kill -9` of retraining at many seeded times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.retraining_installation import make_installation
from tests.integration.retraining.test_crashes import crash_through_a_run

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


@pytest.mark.parametrize("seed", range(100, 120))
def test_twenty_runs_killed_five_times_each(tmp_path: Path, seed: int) -> None:
    installation = make_installation(
        tmp_path, days=15, retraining={"command": ["python", "train.py", "slow", "0.5"]}
    )
    crash_through_a_run(installation, seed, kills=5, longest=4.0)
