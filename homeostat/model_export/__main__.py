"""`python -m homeostat.model_export MODEL ROWS PROJECT`: export a model from a file or MLflow, as `homeostat.export` does.

The model is read in this process, so run it with the Python in which the model was fitted. Exit code 4: the export was refused.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from homeostat.model_export.checks.arguments import EVENT_TIME, OUTCOME, RUNTIMES
from homeostat.model_export.checks.library_errors import refusing
from homeostat.model_export.export import export
from homeostat.model_export.model_file import require_readable
from shared.errors import ExportRefused, HomeostatError

REFUSED = 4
# Of MLflow: its default repeats requests for minutes to a server that does not answer, and draws bars into the errors.
_MLFLOW = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}


def main(arguments: list[str] | None = None) -> int:
    """Export; prints the report, or the error and its hint."""
    parser = argparse.ArgumentParser(prog="python -m homeostat.model_export", description=__doc__)
    parser.add_argument("model", help="path of a model file, or an MLflow URI")
    parser.add_argument("rows", type=Path, help="Parquet file of rows with outcomes")
    parser.add_argument("project", type=Path, help="folder of the project to write")
    parser.add_argument("--name", default="", help="name of the model; default: the folder's")
    parser.add_argument(
        "--outcome",
        action="append",
        help="column of outcomes; repeat it for a model of several values; default: outcome",
    )
    parser.add_argument(
        "--labels",
        action="append",
        help="a class; repeat it for each, in the order of the output of a torch or ONNX model",
    )
    parser.add_argument("--event-time", default=EVENT_TIME, help="column of event times")
    parser.add_argument(
        "--positive", default=None, help="class whose probability is the score; default: the second"
    )
    parser.add_argument(
        "--kind", default="", help="probability, value or embedding, of a torch or ONNX model"
    )
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default=RUNTIMES[0],
        help="what serves the model: onnxruntime, or torch for a .pt2 program, which is then kept as it is",
    )
    given = parser.parse_args(arguments)
    for name, value in _MLFLOW.items():
        os.environ.setdefault(name, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the report has those of the export
            require_readable(given.model)
            with refusing(f"reading {given.rows}", hint="expected a Parquet file of rows with outcomes"):
                rows = pd.read_parquet(given.rows)
            _require_outcomes(rows, given.rows, given.outcome or [OUTCOME])
            report = export(
                given.model,
                rows,
                given.project,
                name=given.name,
                outcome=_outcome(given.outcome),
                labels=_labels(given.labels),
                event_time=given.event_time,
                positive=_value(given.positive),
                kind=given.kind,
                runtime=given.runtime,
            )
    except HomeostatError as error:
        print(f"error: {error.message}", file=sys.stderr)
        print(f"hint: {error.hint}", file=sys.stderr)
        return REFUSED
    print(report)
    for warning in report.warnings:
        print(f"warning: {warning}")
    return 0


def _outcome(names: list[str] | None) -> str | list[str]:
    """One name is a column, several are the values of a regression."""
    if names is None:
        return OUTCOME
    return names[0] if len(names) == 1 else names


def _labels(texts: list[str] | None) -> list[Any] | None:
    """Whole numbers if all of them are, else texts."""
    if texts is None:
        return None
    numbers = [_value(text) for text in texts]
    return numbers if all(isinstance(one, int) for one in numbers) else texts


def _require_outcomes(rows: pd.DataFrame, path: Path, names: list[str]) -> None:
    """A deployment needs a reference, and so outcomes. Raises ExportRefused."""
    missing = next((name for name in names if name not in rows), None)
    if missing is not None:
        raise ExportRefused(
            f"{path} has no column {missing!r}, so nothing was written",
            hint="rename the column of outcomes, or name it, for example --outcome label; the columns are "
            + ", ".join(map(str, rows.columns)),
        )


def _value(text: str | None) -> str | int | None:
    """A class as it was given on the command line: a whole number where it is one."""
    return int(text) if text is not None and text.lstrip("-").isdigit() else text


if __name__ == "__main__":
    raise SystemExit(main())
