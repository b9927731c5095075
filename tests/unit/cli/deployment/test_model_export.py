from __future__ import annotations

import io
import pickle
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from cli.deployment import model_export
from cli.deployment.model_export import RUNS_CODE, export_project, project_of
from homeostat.model_export import __main__ as program
from homeostat.model_export import model_file
from shared.contracts.loop_yaml import read_loop_spec
from shared.errors import ProjectError

ROWS = pd.DataFrame(
    {
        "amount": [float(number) for number in range(50)],
        "outcome": [2.0 * number for number in range(50)],
        "event_time": pd.date_range("2026-01-01", periods=50, freq="h", tz="UTC"),
    }
)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.parquet"
    ROWS.to_parquet(path)
    return path


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The export runs in this process, since its own takes seconds of imports; other tests here start that one."""

    def run(command: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        interpreter, *module = command[:3]
        assert (interpreter, module) == (sys.executable, ["-m", "homeostat.model_export"])
        out, errors = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(errors):
            code = program.main(list(command[3:]))
        return subprocess.CompletedProcess(command, code, out.getvalue(), errors.getvalue())

    for name, value in program._MLFLOW.items():
        monkeypatch.setenv(name, value)  # what the program sets is gone after the test
    replaced = SimpleNamespace(run=run, DEVNULL=subprocess.DEVNULL, TimeoutExpired=subprocess.TimeoutExpired)
    monkeypatch.setattr(model_export, "subprocess", replaced)


@pytest.mark.parametrize(
    ("model", "folder"),
    [
        ("fraud.pkl", "fraud"),
        ("some/fraud.onnx", "some/fraud"),
        ("models:/fraud/3", "fraud"),
        ("models:/fraud@champion", "fraud"),
        ("runs:/0123/model", "model"),
        ("logged", "logged-project"),
    ],
)
def test_project_is_named_like_the_model(model: str, folder: str) -> None:
    assert project_of(model) == Path(folder)


def test_pickle_is_exported_with_a_code_warning(tmp_path: Path, rows: Path) -> None:
    model = tmp_path / "fraud.pkl"
    model.write_bytes(pickle.dumps(LinearRegression().fit(ROWS[["amount"]], ROWS["outcome"])))
    notes: list[str] = []
    project = export_project(str(model), rows, python=None, note=notes.append)
    assert project == tmp_path / "fraud"
    assert read_loop_spec(project).model == "fraud"
    assert (project / "reference.parquet").is_file()
    assert notes[0] == f"loading {model} with {sys.executable} runs the code stored in it"
    assert "the rows: 50 rows, all scores equal" in notes[1]


@pytest.mark.usefixtures("in_this_process")
def test_columns_and_the_positive_class_are_passed_on(tmp_path: Path) -> None:
    labels = ["ok" if number % 3 else "-complaint" for number in range(50)]
    rows = ROWS.drop(columns="outcome").rename(columns={"event_time": "at"}).assign(label=labels)
    rows.to_parquet(tmp_path / "rows.parquet")
    model = tmp_path / "tickets.pkl"
    model.write_bytes(pickle.dumps(LogisticRegression().fit(rows[["amount"]], rows["label"])))

    def export(**options: Any) -> Path:
        return export_project(
            str(model), tmp_path / "rows.parquet", python=None, note=notes.append, **options
        )

    notes: list[str] = []
    with pytest.raises(
        ProjectError, match="rows.parquet has no column 'outcome', so nothing was written"
    ) as one:
        export()
    assert "--outcome label; the columns are amount, at, label" in one.value.hint
    assert not (tmp_path / "tickets").exists()
    project = export(outcome=["label"], event_time="at", positive="-complaint")
    assert read_loop_spec(project).prediction.positive == "-complaint"
    reference = pd.read_parquet(project / "reference.parquet")
    assert reference["outcome"].tolist() == [label == "-complaint" for label in labels]
    assert reference["event_time"].iloc[0] == pd.Timestamp("2026-01-01", tz="UTC")


def test_refusal_is_reported_with_its_hint(tmp_path: Path, rows: Path) -> None:
    model = tmp_path / "fraud.onnx"
    model.write_bytes(b"no model")
    notes: list[str] = []
    with pytest.raises(ProjectError) as refused:
        export_project(str(model), rows, python=None, note=notes.append)
    assert refused.value.message.startswith(f"{model} cannot be read")
    assert refused.value.hint == "save the model again"
    assert notes == []


def test_python_without_the_package_is_named(tmp_path: Path, rows: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S -I "$@"\n')
    python.chmod(0o755)
    with pytest.raises(ProjectError, match="does not have homeostat or pandas.*--python"):
        export_project("fraud.onnx", rows, python=python, note=print)
    with pytest.raises(ProjectError, match="cannot be started"):
        export_project("fraud.onnx", rows, python=tmp_path, note=print)


@pytest.mark.usefixtures("in_this_process")
def test_outcome_and_labels_are_passed_on(tmp_path: Path) -> None:
    model = tmp_path / "fraud.pkl"
    amounts = ROWS[["amount"]]
    model.write_bytes(pickle.dumps(LinearRegression().fit(amounts, ROWS[["outcome", "amount"]])))
    renamed = ROWS.rename(columns={"outcome": "low"}).assign(high=ROWS["amount"])
    renamed.to_parquet(tmp_path / "several.parquet")
    project = export_project(
        str(model), tmp_path / "several.parquet", python=None, note=lambda _: None, outcome=["low", "high"]
    )
    assert read_loop_spec(project).prediction.names == ("low", "high")
    with pytest.raises(ProjectError) as refused:
        export_project(
            str(model),
            tmp_path / "several.parquet",
            python=None,
            note=lambda _: None,
            outcome=["low", "high"],
            labels=["1", "2"],
        )
    assert refused.value.message == (
        "labels=[1, 2] is for models of torch and ONNX; this one is of scikit-learn and predicts several values"
    )


@pytest.mark.usefixtures("in_this_process")
def test_unreadable_rows_are_refused_without_traceback(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"no rows")
    (tmp_path / "fraud.onnx").write_bytes(b"no model")
    with pytest.raises(ProjectError) as refused:
        export_project(str(tmp_path / "fraud.onnx"), tmp_path / "rows.parquet", python=None, note=print)
    assert refused.value.message.startswith(f"reading {tmp_path / 'rows.parquet'} failed: ")
    assert refused.value.hint == "expected a Parquet file of rows with outcomes"


def test_lines_that_libraries_print_are_left_out(tmp_path: Path, rows: Path) -> None:
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\nprintf 'loading\\nhint: none\\nerror: no trees\\nin 2 lines\\nhint: \\n' >&2\nexit 4\n"
    )
    python.chmod(0o755)
    with pytest.raises(ProjectError) as refused:
        export_project("fraud.onnx", rows, python=python, note=print)
    assert (refused.value.message, refused.value.hint) == ("no trees\nin 2 lines", "")


@pytest.mark.usefixtures("in_this_process")
def test_name_and_kind_are_passed_on(tmp_path: Path, rows: Path) -> None:
    model = tmp_path / "model.pkl"
    model.write_bytes(pickle.dumps(LinearRegression().fit(ROWS[["amount"]], ROWS["outcome"])))
    project = export_project(str(model), rows, python=None, note=print, name="fraud", kind="value")
    assert project == tmp_path / "model"
    assert read_loop_spec(project).model == "fraud"
    with pytest.raises(ProjectError, match="kind='embedding' is for models of torch and ONNX"):
        export_project(str(model), rows, python=None, note=print, kind="embedding")


def test_project_of_an_mlflow_model_has_the_given_name() -> None:
    assert project_of("runs:/0a1b/model", "fraud") == Path("fraud")
    assert project_of("models/model.pkl", "fraud") == Path("models/model")


def test_suffixes_that_run_code_are_those_of_the_export() -> None:
    assert RUNS_CODE == model_file.RUNS_CODE


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(("name", "warns"), [("net.pt2", True), ("NET.PKL", True), ("net.onnx", False)])
def test_files_with_code_are_warned_about(tmp_path: Path, rows: Path, name: str, warns: bool) -> None:
    (tmp_path / name).write_bytes(b"no model")
    notes: list[str] = []
    with pytest.raises(ProjectError, match="cannot be read"):
        export_project(str(tmp_path / name), rows, python=None, note=notes.append)
    assert [note.split(" with ")[0] for note in notes] == ([f"loading {tmp_path / name}"] if warns else [])


@pytest.mark.usefixtures("in_this_process")
def test_runtime_reaches_the_export(tmp_path: Path, rows: Path) -> None:
    (tmp_path / "fraud.pkl").write_bytes(
        pickle.dumps(LinearRegression().fit(ROWS[["amount"]], ROWS["outcome"]))
    )
    with pytest.raises(ProjectError, match="runtime='torch' is for programs"):
        export_project(str(tmp_path / "fraud.pkl"), rows, python=None, note=print, runtime="torch")


@pytest.mark.usefixtures("in_this_process")
def test_missing_model_is_reported_before_rows_are_read(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="late.pkl is not a file"):
        export_project(str(tmp_path / "late.pkl"), tmp_path / "none.parquet", python=None, note=print)
