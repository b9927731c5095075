"""Reads and checks the files that a training command wrote: the model and metrics.json."""

from __future__ import annotations

from math import isfinite
from pathlib import Path

import orjson

from shared.contracts.version_files.names import MODEL_FILES
from shared.errors import TrainingFailed
from shared.files import read_regular
from shared.models.training.training_process import OUT_VARIABLE

METRICS = "metrics.json"
_MAX_METRICS_BYTES = 1 << 20


def read_outputs(out: Path) -> dict[str, float]:
    """The metrics in `out`, once it holds a model. Raises `TrainingFailed` where a file is missing or wrong."""
    names = " or ".join(MODEL_FILES)
    if not any((out / name).is_file() for name in MODEL_FILES):
        raise TrainingFailed(
            f"the training command wrote no {names}", hint=f"it must write one of them to ${OUT_VARIABLE}"
        )
    find_model(out)
    return read_metrics(out / METRICS)


def find_model(folder: Path) -> Path:
    """The model's file in an output folder or a model project. Raises `TrainingFailed` unless there is exactly one."""
    found = [folder / name for name in MODEL_FILES if (folder / name).is_file()]
    if len(found) != 1:
        raise TrainingFailed(
            f"{folder} has {' and '.join(path.name for path in found) or 'no model'}; expected one of {', '.join(MODEL_FILES)}",
            hint="keep the one that is to be served, in a new or emptied folder",
        )
    return found[0]


def read_metrics(path: Path) -> dict[str, float]:
    """The numbers in metrics.json. Raises `TrainingFailed` where it is missing or holds anything but finite numbers."""
    hint = f"write {path.name} as a JSON object of names and finite numbers"
    try:
        # orjson rejects NaN and Infinity, which Python's json module writes.
        found = orjson.loads(read_regular(path, maximum_bytes=_MAX_METRICS_BYTES))
    except orjson.JSONDecodeError as error:
        raise TrainingFailed(
            f"{path} is not valid JSON (NaN and Infinity are not allowed)", hint=hint
        ) from error
    except OSError as error:
        raise TrainingFailed(f"{path} cannot be read: {error.strerror}", hint=hint) from error
    if not isinstance(found, dict):
        raise TrainingFailed(f"{path} is not a JSON object", hint=hint)
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            given = orjson.dumps(value).decode()
            raise TrainingFailed(f"{path}: {name} is {given}; expected a finite number", hint=hint)
    return {str(name): float(value) for name, value in found.items()}
