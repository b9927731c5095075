"""Which outcomes fit a prediction. Inference, deployment and training decide it with this module. Pure.

A probability is about an event that happened (1) or did not (0): training and its metrics use no other outcome of it.
"""

from __future__ import annotations

import math

import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.loop_spec import Prediction

_EVENT = (0.0, 1.0)
_SHOWN = 20


def expected_outcome(prediction: Prediction) -> str:
    """The outcomes that fit, in words."""
    if prediction.kind == "classes":
        texts = prediction.label_texts
        return f"one of {', '.join(texts[:_SHOWN])}" + (", …" if len(texts) > _SHOWN else "")
    return "0 or 1" if prediction.kind == "probability" else "a finite number"


def fits(prediction: Prediction, outcome: float) -> bool:
    """Whether an outcome that is a number fits a prediction that is one. Labels: services/inference/models/labels.py."""
    return outcome in _EVENT if prediction.kind == "probability" else math.isfinite(outcome)


def fitting(prediction: Prediction, outcomes: pa.ChunkedArray) -> pa.ChunkedArray:
    """Per row, whether its outcome (float64, or a label as text or integer) fits the prediction; False where it is missing."""
    if prediction.kind == "classes":
        return pc.is_in(pc.cast(outcomes, pa.string()), pa.array(prediction.label_texts))
    if prediction.kind == "probability":
        return pc.is_in(outcomes, pa.array(_EVENT, outcomes.type))
    return pc.fill_null(pc.is_finite(outcomes), False)
