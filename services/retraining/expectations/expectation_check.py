"""The gate's check `expectations`: the holdout rows meet the model project's suite of Great Expectations."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson

from services.retraining.gate_checks.check import Check, Measured
from shared.errors import OperatorError, ProjectError
from shared.files import read_regular

_SCRIPT = Path(__file__).with_name("gx_script.py")
_SETTING = "HOMEOSTAT_RETRAINING_EXPECTATIONS_PYTHON"
_MAXIMUM_BYTES = 16 << 20
_SHOWN = 3
# What the library needs of this process's environment: no setting, key or token.
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")


# Validates the rows of a Parquet file against a suite: the results of its expectations.
Validate = Callable[[Path, Path], Sequence[dict[str, Any]]]


def validator(python: str, seconds: float) -> Validate:
    """Validates in a process of `python`, the Python that has great_expectations, within `seconds`."""

    def validate(suite: Path, rows: Path) -> list[dict[str, Any]]:
        if not python:
            raise OperatorError(
                f"loop.yaml has gate.expectations, and {_SETTING} is not set",
                hint="set it to a Python that has great_expectations 1 and pyarrow, or remove gate.expectations",
            )
        with tempfile.TemporaryDirectory(prefix="homeostat-expectations-") as place:
            result = Path(place) / "result.json"
            kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
            try:
                done = subprocess.run(
                    [python, "-I", str(_SCRIPT), str(suite), str(rows), str(result)],
                    cwd=place,
                    env={**kept, "HOME": place},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    timeout=seconds,
                    check=False,
                )
            except subprocess.TimeoutExpired as error:
                raise ProjectError(
                    f"the suite {suite.name} was not validated within {seconds:g} s",
                    hint="make it smaller, or raise HOMEOSTAT_RETRAINING_MODEL_SECONDS",
                ) from error
            except OSError as error:
                raise OperatorError(
                    f"{_SETTING}={python} cannot be started: {error.strerror}",
                    hint="set it to a Python that has great_expectations 1 and pyarrow",
                ) from error
            if not result.is_file():
                raise ProjectError(
                    f"the suite {suite.name} cannot be validated: {_last_line(done.stderr)}",
                    hint=f"run `{python} {_SCRIPT} {suite} ROWS.parquet RESULT.json` by hand",
                )
            found: list[dict[str, Any]] = orjson.loads(read_regular(result, maximum_bytes=_MAXIMUM_BYTES))
            return found

    return validate


def check_expectations(validate: Validate, project: Path, name: str, rows: Path) -> Measured:
    """Whether every expectation of the suite `name` in the project's folder holds for the rows. Raises ProjectError.

    The suite is read when the gate is evaluated, and is not part of the version.
    """
    suite = (project / name).resolve()
    if not suite.is_relative_to(project.resolve()) or not suite.is_file():
        raise ProjectError(
            f"the project folder {project} has no file {name}",
            hint="gate.expectations names the JSON of a suite, relative to the folder of loop.yaml",
        )
    results = validate(suite, rows)
    failed = [one for one in results if not one["holds"]]
    numbers = {"suite": name, "expectations": list(results)}
    if not results:
        return Measured("expectations", Check("expectations", False, f"the suite {name} is empty"), numbers)
    reason = f"all {len(results)} expectations of {name} hold for the holdout"
    if failed:
        more = f" and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
        named = "; ".join(map(_described, failed[:_SHOWN]))
        reason = f"{len(failed)} of {len(results)} expectations of {name} do not hold for the holdout: {named}{more}"
    return Measured("expectations", Check("expectations", not failed, reason), numbers)


def _described(one: dict[str, Any]) -> str:
    what = f"{one['type']}({one['column']})" if one["column"] else str(one["type"])
    if one["problem"]:
        return f"{what}: {one['problem']}"
    if one["unexpected_percent"] is not None:
        return f"{what}: {one['unexpected_percent']:.3g} % of the rows do not meet it"
    return f"{what}: observed {one['observed']}"


def _last_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:500] if lines else "its process printed nothing"
