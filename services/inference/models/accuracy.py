"""How far the answers of a model in its declared form are from those in float32 on the CPU. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from shared.errors import UnservableModel

Array = npt.NDArray[Any]


def largest_difference(answered: Array, exact: Array) -> tuple[float, int]:
    """The largest difference and its row: absolute for numbers up to 1, else relative; infinite if an answer is not finite."""
    if answered.size == 0:
        return 0.0, 0
    wanted = exact.astype(np.float64)
    with np.errstate(invalid="ignore"):
        differences = np.abs(answered.astype(np.float64) - wanted) / np.maximum(1.0, np.abs(wanted))
    by_row = np.nan_to_num(differences, nan=np.inf).reshape(len(differences), -1).max(axis=1)
    row = int(np.argmax(by_row))
    return float(by_row[row]), row


def check_accuracy(answered: Array, exact: Array, *, form: str, tolerance: float) -> float:
    """The largest difference. Raises UnservableModel with figures if it is beyond the tolerance."""
    difference, row = largest_difference(answered, exact)
    if difference <= tolerance:
        return difference
    there = answered[row].reshape(-1).astype(np.float64), exact[row].reshape(-1).astype(np.float64)
    place = int(np.argmax(np.nan_to_num(np.abs(there[0] - there[1]), nan=np.inf)))
    raise inaccurate(
        f"in {form} reference row {row} is answered with {there[0][place]:.6g}, in float32 with {there[1][place]:.6g}; the "
        f"difference {difference:.3g} is beyond {tolerance:g}"
    )


def inaccurate(message: str) -> UnservableModel:
    """The refusal of a form, with what to set."""
    return UnservableModel(
        message,
        hint="set fp32 for the model in HOMEOSTAT_INFERENCE_PRECISION_BY_MODEL and remove it from HOMEOSTAT_INFERENCE_TENSORRT, "
        "or raise HOMEOSTAT_INFERENCE_PRECISION_TOLERANCE",
    )
