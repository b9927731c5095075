from __future__ import annotations

import json
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import structlog
import yaml
from typer.testing import CliRunner

from backtest.policy import policy_digest
from backtest.record import recorded
from cli.backtesting.rows import rows_of_lake
from cli.main import app
from shared.contracts.loop_yaml import read_loop_spec
from tests.fakes.backtest_project import make_project, make_rows
from tests.fakes.landlock import has_landlock
from tests.fakes.retraining_installation import TRAINER, make_installation

# At the begin of a training command: what it can read of the rows.
PEEK = """
    for place in {places}:
        for path in [Path(place), *Path(place).rglob("*.parquet")]:
            try:
                open(path).close()
            except (PermissionError, IsADirectoryError):
                continue
            sys.exit(f"the training command can read {{path}}")
"""


def test_the_figures_are_shown_recorded_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a policy that never trains, so that only the first version is trained: what policies do is tested elsewhere."""
    monkeypatch.setenv("HOMEOSTAT_HOME", str(tmp_path / "home"))
    project = make_project(tmp_path / "project")
    loop = yaml.safe_load((project / "loop.yaml").read_text())
    loop["retraining"]["triggers"] = []
    (project / "loop.yaml").write_text(yaml.safe_dump(loop))
    # The same rows as CSV.
    (project / "history.parquet").unlink()
    pyarrow.csv.write_csv(make_rows().slice(0, 900), project / "history.csv")
    plot = tmp_path / "plot.html"
    log = structlog.get_config()
    result = CliRunner().invoke(app, ["backtest", str(project), "--json", "--plot", str(plot)])
    assert result.exit_code == 0, result.output
    assert structlog.get_config() == log  # this process logs as before
    document = json.loads(result.stdout)
    (policy,) = document["policies"]
    assert policy["name"] == "loop.yaml"
    assert policy["loss"] == document["frozen_loss"]
    assert policy["trainings"] == 0
    assert plot.read_text().count("<polyline") == 2
    record = recorded(project, policy_digest(read_loop_spec(project)))
    assert record is not None
    assert record["digest"] == policy["digest"]
    assert record["loss"] == policy["loss"]


@pytest.mark.skipif(not has_landlock(), reason="this kernel has no Landlock")
@pytest.mark.parametrize("is_logged", [True, False])
def test_the_training_command_reads_no_rows_but_those_it_is_given(tmp_path: Path, is_logged: bool) -> None:
    """Neither the lake, from which logged rows are replayed, nor a history file that is not replayed."""
    made = make_installation(
        tmp_path, retraining={"triggers": []}, drift={"window": {"every": "10d", "minimum_rows": 20}}
    )
    project, home = made.project, made.home
    kept = [home / "lake", home / "models"]
    if not is_logged:
        pq.write_table(rows_of_lake(made.settings.lake_url, made.spec), project / "history.parquet")
        (project / "history.csv").write_text("the same")
        kept += [project / "history.parquet", project / "history.csv"]
    assert list((home / "lake").rglob("*.parquet"))
    log = TRAINER[TRAINER.index("    with open(Path(__file__)") : TRAINER.index("    how = sys.argv")]
    (project / "train.py").write_text(TRAINER.replace(log, PEEK.format(places=[str(one) for one in kept])))
    result = CliRunner().invoke(app, ["backtest", str(project), "--json", "--home", str(home)])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["policies"][0]["trainings"] == 0


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--start", "soon"], "--start is 'soon'; expected an ISO 8601 time"),
        (["--grid", "often"], "--grid is 'often'"),
        (["--grid", "0d"], "expected a length above 0"),
    ],
)
def test_options_are_checked(tmp_path: Path, options: list[str], problem: str) -> None:
    project = make_project(tmp_path / "project")
    result = CliRunner().invoke(app, ["backtest", str(project), "--json", *options])
    assert result.exit_code != 0
    assert problem in json.loads(result.stdout)["error"]


def test_a_history_that_is_too_short_says_what_it_needs(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    pq.write_table(make_rows().slice(0, 300), project / "history.parquet")
    result = CliRunner().invoke(app, ["backtest", str(project), "--json", "--home", str(tmp_path / "home")])
    document = json.loads(result.stdout)
    assert (
        document["error"]
        == "the history has 300 rows with outcomes: it ends before a first version could be trained"
    )
    assert "retraining.minimum_rows (150)" in document["hint"]
