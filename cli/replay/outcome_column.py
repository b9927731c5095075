"""Checks the outcomes of a history before the first row is sent: rows that are logged cannot be replayed again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from cli.replay.history import open_parquet
from shared.contracts.outcome import expected_outcome, fitting, outcome_hint
from shared.contracts.prediction import Prediction
from shared.errors import ProjectError

_READ_ROWS = 1 << 16


def prediction_of(answer: Mapping[str, str]) -> Prediction | None:
    """The prediction that a server describes; None if it does not give the kind, as servers of earlier versions."""
    if "kind" not in answer:
        return None
    lists = {key: tuple(answer[key].split("\n")) for key in ("labels", "names") if key in answer}
    # The size of an embedding does not matter here.
    return Prediction.model_validate(
        {"kind": answer["kind"], **lists} | ({"size": 1} if answer["kind"] == "embedding" else {})
    )


def check_outcomes(path: Path, column: str, prediction: Prediction, model: str) -> None:
    """Raises ProjectError if the column has outcomes and none of them fits the prediction.

    Some that do not fit are left to the server, such as labels that the model no longer has: they are counted as refused.
    """
    first = None
    for batch in open_parquet(path).iter_batches(_READ_ROWS, columns=[column]):
        present = batch.column(0).filter(pc.invert(pc.is_null(batch.column(0), nan_is_null=True)))
        if not len(present):
            continue
        if _has_type_of(prediction, present.type) and pc.any(fitting(prediction, present)).as_py():
            return
        first = present[0] if first is None else first
    if first is not None:
        raise ProjectError(
            f"column {column} of {path} has {str(first.as_py())[:60]!r}; the outcomes of {model} are "
            f"{expected_outcome(prediction)}, so nothing was sent",
            hint=outcome_hint(prediction) or "name the column that has the outcomes with --outcome-column",
        )


def _has_type_of(prediction: Prediction, given: pa.DataType) -> bool:
    """Whether values of a type can be outcomes at all."""
    if prediction.kind == "classes":
        texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_dictionary, pa.types.is_integer)
        return any(is_of(given) for is_of in texts)
    if prediction.kind == "values":
        return pa.types.is_struct(given) and set(prediction.names) <= {field.name for field in given}
    return bool(pa.types.is_integer(given) or pa.types.is_floating(given))
