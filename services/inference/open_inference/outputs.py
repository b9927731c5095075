"""The outputs of a prediction as Open Inference Protocol tensors, those that the client requested. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np

from services.inference.models.servable import Servable
from services.inference.open_inference.codec import InferOutput, InferRequest, RequestedOutput
from services.inference.open_inference.elements import Array
from services.inference.open_inference.features import (
    LABEL,
    PREDICTION_ID,
    SCORE,
    answer_type,
    label_type,
)
from services.inference.prediction.call import Prediction
from shared.errors import InvalidRequest


def requested_outputs(servable: Servable, wire: InferRequest) -> dict[str, RequestedOutput]:
    """The requested outputs by name, in order; all if the request lists none. Raises InvalidRequest."""
    labels = (LABEL, SCORE) if servable.labels else ()
    known = (servable.output.name, *labels, PREDICTION_ID)
    if wire.outputs is None:
        return dict.fromkeys(known, RequestedOutput(wire.binary_by_default))
    for name, requested in wire.outputs.items():
        if name not in known:
            raise InvalidRequest(
                f"unknown output {name[:80]!r}",
                field=name[:80],
                expected=f"one of {', '.join(known)}",
                status=400,
            )
        if requested.classes and (name != servable.output.name or not servable.width):
            raise InvalidRequest(
                f"output {name} has no classes",
                field="classification",
                expected=f"`classification` of {servable.output.name} only"
                if servable.width
                else "no `classification`: the model answers one value per row",
                status=400,
            )
    return wire.outputs


def predicted_outputs(
    servable: Servable, requested: dict[str, RequestedOutput], prediction: Prediction
) -> list[tuple[InferOutput, bool]]:
    """The requested outputs, each with whether it is written in binary."""
    rows = len(prediction.prediction_ids)
    name, output = servable.output.name, prediction.output
    found = {
        name: InferOutput(name, answer_type(servable), output.shape, output),
        PREDICTION_ID: InferOutput(PREDICTION_ID, "BYTES", (rows,), list(prediction.prediction_ids)),
    }
    if prediction.classes is not None:
        found |= _class_outputs(servable, prediction)
    if name in requested and (count := requested[name].classes):
        classes = _top_classes(output, servable.labels.texts, count)
        found[name] = InferOutput(name, "BYTES", (rows, min(count, output.shape[1])), classes)
    return [(found[one], form.binary) for one, form in requested.items()]


def _class_outputs(servable: Servable, prediction: Prediction) -> dict[str, InferOutput]:
    """The most probable label of each row, and its probability."""
    assert prediction.classes is not None
    rows, best = len(prediction.prediction_ids), prediction.classes
    labels: Any = (
        np.asarray(servable.labels.values, np.int64)[best]
        if label_type(servable) == "INT64"
        else [servable.labels.texts[place] for place in best.tolist()]
    )
    scores = prediction.output[np.arange(rows), best]
    return {
        LABEL: InferOutput(LABEL, label_type(servable), (rows,), labels),
        SCORE: InferOutput(SCORE, answer_type(servable), (rows,), scores),
    }


def _top_classes(output: Array, labels: tuple[str, ...], count: int) -> list[str]:
    """Triton's classification extension: the largest values of each row as `value:index:label`, in descending order."""
    indices = np.argsort(-output, axis=1, kind="stable")[:, :count]
    values = np.take_along_axis(output, indices, axis=1)
    return [
        f"{value:f}:{index}:{labels[index]}" if labels else f"{value:f}:{index}"
        for value, index in zip(values.ravel().tolist(), indices.ravel().tolist(), strict=True)
    ]
