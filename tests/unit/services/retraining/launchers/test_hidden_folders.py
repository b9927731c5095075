"""Which folders of this machine a training command must not read."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.retraining.launchers.hidden_folders import folders_with_rows
from shared.settings import HomeostatSettings

HOME = Path("/srv/home")


@pytest.mark.parametrize(
    ("lake", "store", "reports", "expected"),
    [
        ("", "", "", [HOME, HOME / "lake", HOME / "models", HOME / "reports"]),
        (
            "/data/lake",
            "file:///data/my%20models",
            "/data/reports",
            [HOME, Path("/data/lake"), Path("/data/my models"), Path("/data/reports")],
        ),
        ("s3://bucket/lake", "gs://bucket/models", "az://bucket/reports", [HOME]),
    ],
)
def test_home_lake_store_and_reports_are_hidden(
    lake: str, store: str, reports: str, expected: list[Path]
) -> None:
    settings = HomeostatSettings(home=HOME, lake=lake, model_store=store, reports=reports)
    assert list(folders_with_rows(settings)) == expected
