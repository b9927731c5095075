"""`python -m homeostat.model_export MODEL ROWS PROJECT`: export a model from a file or MLflow, as `homeostat.export` does.

The model is read in this process, so run it with the Python in which the model was fitted. Exit code 4: the export was refused.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import pandas as pd

from homeostat.model_export.export import export
from shared.errors import HomeostatError

REFUSED = 4


def main(arguments: list[str] | None = None) -> int:
    """Export; prints the report, or the error and its hint."""
    parser = argparse.ArgumentParser(prog="python -m homeostat.model_export", description=__doc__)
    parser.add_argument("model", help="path of a model file, or an MLflow URI")
    parser.add_argument("rows", type=Path, help="Parquet file of rows with outcomes")
    parser.add_argument("project", type=Path, help="folder of the project to write")
    parser.add_argument("--name", default="", help="name of the model; default: the folder's")
    parser.add_argument(
        "--positive", default=None, help="class whose probability is the score; default: the second"
    )
    given = parser.parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the report has those of the export
            report = export(
                given.model,
                pd.read_parquet(given.rows),
                given.project,
                name=given.name,
                positive=_value(given.positive),
            )
    except HomeostatError as error:
        print(f"error: {error.message}", file=sys.stderr)
        print(f"hint: {error.hint}", file=sys.stderr)
        return REFUSED
    print(report)
    for warning in report.warnings:
        print(f"warning: {warning}")
    return 0


def _value(text: str | None) -> str | int | None:
    """A class as it was given on the command line: a whole number where it is one."""
    return int(text) if text is not None and text.lstrip("-").isdigit() else text


if __name__ == "__main__":
    raise SystemExit(main())
