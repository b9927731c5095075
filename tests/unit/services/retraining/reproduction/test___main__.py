"""The process behind `homeostat reproduce`: from the stores of an installation to one result."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from services.retraining.ledger.records import Run
from services.retraining.reproduction.__main__ import answer
from services.retraining.reproduction.request import ReproductionRequest
from services.retraining.settings import RetrainingSettings
from tests.unit.services.retraining.runs.test_pipeline import Setup


def test_rows_are_written_and_the_project_trains_on_them(promoted: tuple[Setup, Run], tmp_path: Path) -> None:
    setup, run = promoted
    request = ReproductionRequest(version=run.version[:8], train=True, into=tmp_path / "rows")
    found = answer(request, setup.installation.settings, RetrainingSettings(), tmp_path / "work")
    assert found["equal"]
    assert pq.read_metadata(tmp_path / "rows" / "train.parquet").num_rows == found["train_rows"]
    trained = found["trained"]
    # The version was handed out by a fake launcher; the project's own command gives another model.
    assert not trained["model_equal"]
    assert trained["metrics"]["rows"] == {"then": None, "now": float(found["train_rows"])}
