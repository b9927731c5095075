"""Training again: the same rows, champion and command, and how far the result differs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from services.retraining.ledger.records import Run
from services.retraining.reproduction.made_again import find_version, make_again
from services.retraining.reproduction.trained_again import train_again
from shared.contracts.manifest import MANIFEST
from shared.contracts.version_files.names import MODEL
from tests.fakes.in_process_models import open_in_process
from tests.unit.services.retraining.runs.test_pipeline import CopyingLauncher, Setup


def test_result_is_compared_with_the_version(promoted: tuple[Setup, Run], tmp_path: Path) -> None:
    setup, run = promoted
    deps = setup.deps
    made = make_again(deps.lake, setup.ledger, find_version(deps.store, run.version), tmp_path / "rows")
    launcher = CopyingLauncher(setup.launcher.model, b'{"loss": 0.25}')
    done = train_again(
        made, store=deps.store, keys=deps.keys, launcher=launcher, open_model=open_in_process,
        directory=Path(run.directory), folder=tmp_path / "same",
    )  # fmt: skip
    assert (done.model_equal, done.largest_difference) == (True, 0.0)
    assert done.metrics == {"loss": (0.5, 0.25)}
    [job] = launcher.jobs
    assert Path(job.environment["HOMEOSTAT_TRAIN"]).read_bytes() == made.train.read_bytes()
    champion = Path(job.environment["HOMEOSTAT_CHAMPION"])
    assert {path.name for path in champion.iterdir()} == {MODEL, MANIFEST}
    other = replace(launcher, model=deps.store.get_file(run.model, run.champion, MODEL), jobs=[])
    done = train_again(
        made, store=deps.store, keys=deps.keys, launcher=other, open_model=open_in_process,
        directory=Path(run.directory), folder=tmp_path / "other",
    )  # fmt: skip
    assert not done.model_equal
    assert done.largest_difference > 0.1
