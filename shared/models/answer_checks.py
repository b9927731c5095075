"""Checks of what a model returned: its shape, finite numbers, and probabilities. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shared.errors import UnservableModel

Array = npt.NDArray[Any]

# A softmax in float32 misses 1 by 1e-6, in half precision by 1e-3.
SUM_TOLERANCE: Final = 2e-3
# The mean of many trees' probabilities of 1 may be 1.0000001.
PROBABILITY_ROUNDING: Final = 1e-6


class NonFiniteAnswer(UnservableModel):
    """The model returned NaN or infinity."""


def check_rows(output: Array, rows: int, *, scores: bool, width: int = 0) -> Array:
    """The output with one score, `width` numbers, or one tensor per row. Raises UnservableModel for another shape."""
    if scores and output.size == rows:
        return output.reshape(rows)
    if not scores and output.ndim and len(output) == rows and (not width or output.shape[1:] == (width,)):
        return output
    expected = "score" if scores else f"row of {width} numbers" if width else "tensor"
    raise UnservableModel(
        f"the model returned shape {list(output.shape)} for {rows} rows",
        hint=f"return one {expected} per row",
    )


def check_probabilities(output: Array, *, first_row: int = 0) -> None:
    """Raises UnservableModel that names the first row that is no distribution over the classes."""
    sums = output.sum(axis=1, dtype=np.float64)
    fits = (np.abs(sums - 1) <= SUM_TOLERANCE) & (output.min(axis=1) >= 0)
    if not fits.all():
        row = int(np.argmin(fits))
        raise UnservableModel(
            f"the probabilities of row {first_row + row} sum to {sums[row]:.4g}, the smallest is {output[row].min():.4g}",
            hint="end the model with a softmax over the classes (axis 1), so that each row sums to 1",
        )


def check_probability(output: Array, *, first_row: int = 0) -> None:
    """Raises UnservableModel that names the first row whose score is no probability."""
    far = np.abs(output - 0.5) > 0.5 + PROBABILITY_ROUNDING
    if far.any():
        row = int(np.argmax(far))
        raise UnservableModel(
            f"the model's scores are outside [0, 1]: row {first_row + row} has {output[row]:.6g}; a probability is required",
            hint="end the model with a sigmoid, or set the kind to value",
        )


def answer_check(kind: str) -> Callable[[Array], None]:
    """What every answer of this kind is held to: finite numbers, and probabilities where it promises them."""
    if kind == "probability":
        return _check_finite_probability
    return _check_finite_distribution if kind == "classes" else check_finite


def _check_finite_probability(output: Array) -> None:
    # One comparison decides of NaN, infinity and range: this runs for every call.
    if b"\0" in (np.abs(output - 0.5) <= 0.5 + PROBABILITY_ROUNDING).tobytes():
        check_finite(output)
        check_probability(output)


def _check_finite_distribution(output: Array) -> None:
    check_finite(output)
    check_probabilities(output)


def check_finite(output: Array, *, first_row: int = 0) -> None:
    """Raises NonFiniteAnswer that names the first row with NaN or infinity. `output` has one entry per row."""
    finite = np.isfinite(output)
    if b"\0" in finite.tobytes():  # `all` goes through Python: for few numbers it takes three times as long
        row = int(np.argmin(finite.reshape(len(output), -1).all(axis=1)))
        raise NonFiniteAnswer(
            f"the model returned a value that is not finite for row {first_row + row}",
            hint="every output value must be a finite number",
        )
