from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from services.console.aggregation.data_summary import Summary
from services.drift.data_summary.__main__ import MEMORY_BYTES, SECONDS
from services.drift.data_summary.summary import summary_of
from services.drift.http.data_summaries import run_summary
from shared.errors import NotFound
from shared.settings import HomeostatSettings
from tests.unit.services.drift.world import World, loop, minutes, ordinary
from tests.waiting import bound


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A model whose newest 300 rows have `x` in another unit."""
    world = World(tmp_path / "home")
    manifest = world.version(loop(), ordinary(800, 1))
    generation = world.release(manifest)
    world.answer(manifest, generation, ordinary(300, 2))
    later = ordinary(300, 3, start=minutes(120))
    world.answer(manifest, generation, {**later, "x": np.asarray(later["x"]) * 1000})
    return world.home


def test_newest_rows_are_summarised_beside_the_reference(home: Path) -> None:
    found = summary_of(HomeostatSettings(home=home), "toy", timedelta(days=7), maximum_rows=300)
    assert (found["rows"], found["is_part"]) == (300, True)
    assert found["first"] >= minutes(120).isoformat()
    assert ("unit_change", "x") in {(one["kind"], one["column"]) for one in found["findings"]}
    assert summary_of(HomeostatSettings(home=home), "toy")["is_part"] is False


def test_a_model_without_a_release_has_no_summary(home: Path) -> None:
    with pytest.raises(NotFound, match="no released model absent"):
        summary_of(HomeostatSettings(home=home), "absent")


LIMITED = """
import resource, signal, sys
from services.drift.data_summary import __main__ as process
made = process.summary_of
limits = lambda: {"limits": [resource.getrlimit(resource.RLIMIT_DATA)[0], signal.alarm(0)]}
process.summary_of = lambda *given: {**made(*given), **limits()}
sys.exit(process.main(sys.argv[1:]))
"""


def test_process_summarises_within_its_limits(home: Path) -> None:
    command = (sys.executable, "-c", LIMITED)
    answered = run_summary("toy", {"HOMEOSTAT_HOME": str(home)}, command=command, seconds=bound(60))
    found = Summary.model_validate(answered["summary"])
    assert found.rows == 600
    assert "x" in {column.name for column in found.columns}
    memory, seconds_left = answered["summary"]["limits"]
    assert memory == MEMORY_BYTES
    assert 0 < seconds_left <= SECONDS
