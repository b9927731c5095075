"""Which outcomes fit a prediction. Inference, deployment and training decide it with this module. Pure.

A probability is about an event that happened (1) or did not (0): training and its metrics use no other outcome of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.prediction import Prediction

_EVENT = (0.0, 1.0)
_SHOWN = 20
_OF_TWO_CLASSES = (
    "of two classes, the outcome is 1 for the positive class and 0 for the other; `prediction.positive` in loop.yaml names "
    "the positive class"
)


def expected_outcome(prediction: Prediction) -> str:
    """The outcomes that fit, in words."""
    if prediction.kind == "classes":
        return f"one of {_listed(prediction.label_texts)}"
    if prediction.kind == "values":
        numbers = _listed(tuple(f"{_quoted(name)}: …" for name in prediction.names))
        return f"an object with a finite number for each name: {{{numbers}}}"
    return "0 or 1" if prediction.kind == "probability" else "a finite number"


def outcome_hint(prediction: Prediction) -> str:
    """What to send instead of a text; nothing more than what is expected unless labels of two classes may be meant."""
    return _OF_TWO_CLASSES if prediction.kind == "probability" else ""


def fits(prediction: Prediction, outcome: float) -> bool:
    """Whether an outcome that is a number fits a prediction that is one. Labels: services/inference/models/labels.py."""
    return outcome in _EVENT if prediction.kind == "probability" else math.isfinite(outcome)


def numbers_by_name(prediction: Prediction, outcome: object) -> dict[str, float] | None:
    """The outcome of `values` as finite floats by name; None if a name is missing or unknown, or has another value."""
    if not isinstance(outcome, Mapping) or outcome.keys() != set(prediction.names):
        return None
    numbers: dict[str, float] = {}
    for name in prediction.names:
        number = finite_number(outcome[name])
        if number is None:
            return None
        numbers[name] = number
    return numbers


def finite_number(value: object) -> float | None:
    """A finite number as a float; None for anything else (true and false are no numbers)."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def numbers_of(name: str, outcomes: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """The numbers of one name, from outcomes of `values`: the lake's maps, or the structs of training data."""
    if pa.types.is_map(outcomes.type):
        return pc.map_lookup(outcomes, name, "first")
    return pc.struct_field(outcomes, name)


def fitting(
    prediction: Prediction, outcomes: pa.ChunkedArray | pa.Array
) -> pa.ChunkedArray | pa.BooleanArray:
    """Per row, whether its outcome fits the prediction; False where it is missing.

    `outcomes`: float64, labels as text or integer, or the numbers of `values` (see `numbers_of`), each of which has to be finite.
    """
    if prediction.kind == "classes":
        return pc.is_in(pc.cast(outcomes, pa.string()), pa.array(prediction.label_texts))
    if prediction.kind == "probability":
        return pc.is_in(outcomes, pa.array(_EVENT, outcomes.type))
    if prediction.kind == "values":
        fit = _finite(numbers_of(prediction.names[0], outcomes))
        for name in prediction.names[1:]:
            fit = pc.and_(fit, _finite(numbers_of(name, outcomes)))
        return fit
    return _finite(outcomes)


def _finite(numbers: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.BooleanArray:
    return pc.fill_null(pc.is_finite(numbers), False)


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _listed(texts: tuple[str, ...]) -> str:
    return ", ".join(texts[:_SHOWN]) + (", …" if len(texts) > _SHOWN else "")
