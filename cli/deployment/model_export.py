"""Exports a model file for `homeostat deploy`, in a Python process of its own.

The command itself never reads the model: a pickle runs code when it is read, and needs the packages it was fitted with.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from shared.errors import ProjectError

_PACKAGE = "homeostat.model_export"
# The suffixes of `homeostat.model_export.model_file`, which the command does not import: it reads pickles.
RUNS_CODE = (".pkl", ".pickle", ".joblib", ".pt2")
_TIME_LIMIT_S = 900.0
_REFUSED = 4  # the exit code of the export


def project_of(model: str, name: str = "") -> Path:
    """The folder of the project for a model: beside its file and named like it, or named like the MLflow model or `name`.

    >>> project_of("models/fraud.pkl"), project_of("models:/fraud/3")
    (PosixPath('models/fraud'), PosixPath('fraud'))
    >>> project_of("models/model.pkl", "fraud"), project_of("runs:/0a1b/model", "fraud")
    (PosixPath('models/model'), PosixPath('fraud'))
    """
    scheme, _, rest = model.partition(":/")
    if rest and name:
        return Path(name)
    if rest:
        parts = [part for part in rest.split("/") if part]
        return Path((parts[0] if scheme == "models" else parts[-1]).partition("@")[0])
    path = Path(model)
    return path.with_suffix("") if path.suffix else path.with_name(f"{path.name}-project")


def names_mlflow_model(model: str) -> bool:
    """Whether this is a URI of MLflow.

    >>> names_mlflow_model("models:/fraud/3"), names_mlflow_model("models/fraud")
    (True, False)
    """
    return ":/" in model


def export_project(
    model: str,
    rows: Path,
    *,
    python: Path | None,
    note: Callable[[str], None],
    outcome: Sequence[str] = (),
    labels: Sequence[str] = (),
    event_time: str = "",
    positive: str = "",
    kind: str = "",
    name: str = "",
    runtime: str = "",
) -> Path:
    """Export the model and return the project's folder. Raises `ProjectError` with the output of the export.

    `python`: the interpreter that reads the model; by default this one. `outcome`: the column of outcomes, several for a model of
    several values; `labels`: the classes in the order of the output; `event_time`: the column of event times; `positive`: the
    class whose probability is the score; `kind`: of a torch or ONNX model; `name`: of the model, and
    of the folder of one in MLflow; `runtime`: what serves it. Empty: as `homeostat.export` finds them.
    """
    project = project_of(model, name)
    interpreter = str(python or sys.executable)
    if model.lower().endswith(RUNS_CODE) or names_mlflow_model(model):
        note(f"loading {model} with {interpreter} runs the code stored in it")
    # With `=`, since a name may begin with a dash.
    options = [*(f"--outcome={name}" for name in outcome), *(f"--labels={label}" for label in labels)]
    options += [f"--event-time={event_time}"] if event_time else []
    options += [f"--positive={positive}"] if positive else []
    options += [f"--kind={kind}"] if kind else []
    options += [f"--name={name}"] if name else []
    options += [f"--runtime={runtime}"] if runtime else []
    command = [interpreter, "-m", _PACKAGE, *options, "--", model, str(rows), str(project)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_TIME_LIMIT_S,
            check=False,
        )
    except OSError as error:
        raise ProjectError(
            f"{interpreter} cannot be started: {error.strerror}", hint="give another --python"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ProjectError(
            f"the export of {model} took longer than {_TIME_LIMIT_S:.0f} s and was stopped",
            hint="call homeostat.export in your own program, with fewer rows",
        ) from error
    if done.returncode != 0:
        raise _problem(done.stderr, model, interpreter, refused=done.returncode == _REFUSED)
    note(done.stdout.strip())
    return project


def _problem(stderr: str, model: str, interpreter: str, *, refused: bool) -> ProjectError:
    """`refused`: the export itself ends its output with lines `error:` and `hint:`; libraries may have printed before."""
    if refused:
        message, _, hint = stderr.rpartition("\nhint: ")
        return ProjectError(f"\n{message}".rpartition("\nerror: ")[2], hint=hint.strip())
    if f"No module named '{_PACKAGE.partition('.')[0]}'" in stderr or "No module named 'pandas'" in stderr:
        return ProjectError(
            f"{interpreter} does not have homeostat or pandas, which the export needs",
            hint="install homeostat[export] there, or select a Python interpreter that has it with --python",
        )
    last = stderr.strip().splitlines()[-1] if stderr.strip() else "it printed nothing"
    return ProjectError(
        f"the export of {model} failed: {last}", hint="call homeostat.export in your own program"
    )
