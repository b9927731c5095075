"""`homeostat drift replay` with its process, on a file; the rest of it needs no process."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from cli.main import app
from tests.unit.services.drift.world import loop, minutes, ordinary
from tests.waiting import bound


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """loop.yaml, reference.parquet and rows.parquet: three hours, moved from the 66th minute on."""
    document = loop(metrics=["auc"], slices=[{"feature": "c"}]).model_dump(mode="json")
    (tmp_path / "loop.yaml").write_text(yaml.safe_dump(document))
    pq.write_table(pa.table(ordinary(2000, 1)), tmp_path / "reference.parquet")
    calm, moved = ordinary(396, 2), ordinary(720, 3, start=minutes(66), shift=3.0)
    pq.write_table(pa.concat_tables([pa.table(calm), pa.table(moved)]), tmp_path / "rows.parquet")
    return tmp_path


def arguments(project: Path, *more: str) -> list[str]:
    files = ("--rows", str(project / "rows.parquet"), "--reference", str(project / "reference.parquet"))
    return ["drift", "replay", "--project", str(project), *files, *more]


@pytest.mark.timeout(bound(120))
def test_a_replay_of_a_file(project: Path) -> None:
    plot = project / "plot.svg"
    asked = arguments(
        project, "--no-stream", "--change-at", "2026-01-01T01:06", "--plot", str(plot), "--json"
    )
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["model"] == "toy"
    assert found["states"]["inputs"] == {"ok": 1, "drift": 2}
    assert found["alarms"][0]["features"] == ["x"]
    assert found["delay"]["seconds"] == 54 * 60
    assert found["delay"]["rows"] == 54 * 6
    assert found["false_alarms"]["alarms_before_change"] == 0
    assert plot.read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--plot", "plot.png"], "neither .html nor .svg"),
        (["--change-at", "soon"], "--change-at soon is not a time"),
    ],
)
def test_a_wrong_option_is_named(project: Path, more: list[str], message: str) -> None:
    done = CliRunner().invoke(app, arguments(project, *more))
    assert done.exit_code == 3
    assert message in " ".join(done.output.split())


def test_a_reference_goes_with_rows() -> None:
    done = CliRunner().invoke(app, ["drift", "replay", "toy", "--reference", "reference.parquet"])
    assert done.exit_code == 3
    assert "--reference goes with --rows and --project" in " ".join(done.output.split())
