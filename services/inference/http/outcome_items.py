"""Outcomes as sent: one, or a list of them; all are right or none is taken. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.inference.http.timestamps import parse_timestamp
from services.inference.models.labels import Labels
from shared.contracts.outcome import expected_outcome, finite_number, fits, numbers_by_name, outcome_hint
from shared.contracts.prediction import Prediction
from shared.errors import InvalidRequest, NotFound
from shared.validation_text import show

_KEYS = frozenset({"prediction_id", "value", "observed_at"})


@dataclass(frozen=True, slots=True)
class OutcomeItem:
    """The outcome of one prediction, checked: a `value`, a `label` of classes, or `numbers` by name of several values."""

    model: str
    prediction_id: str
    value: float | None
    observed_at: datetime
    label: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)


def split_items(document: dict[str, Any], *, maximum: int) -> list[Any]:
    """The outcomes of a request, not yet checked. Raises InvalidRequest."""
    if "outcomes" not in document:
        return [document]
    items = document["outcomes"]
    if len(document) > 1 or not isinstance(items, list) or not items:
        raise InvalidRequest(
            "`outcomes` is not a list of outcomes, or there are other fields",
            field="outcomes",
            expected="a list of at least one outcome, and nothing else",
            status=400,
        )
    if len(items) > maximum:
        raise InvalidRequest(
            f"`outcomes` has {len(items)} entries",
            field="outcomes",
            expected=f"at most {maximum} in one request",
            status=413,
        )
    return items


def check_item(
    item: Any,
    *,
    row: int,
    model_of: Callable[[str], str],
    prediction_of: Callable[[str], Prediction],
    labels_of: Callable[[str], Labels],
    now: datetime,
) -> OutcomeItem:
    """One outcome. Raises InvalidRequest, NotFound.

    `model_of` names the model an id was made for, or nothing where no server here made it; `prediction_of` what it predicts, and
    `labels_of` its labels.
    """
    if not isinstance(item, dict):
        raise InvalidRequest(
            f"outcome {row} is {show(item)}", field="outcomes", expected="an object", row=row, status=400
        )
    for name in sorted(item.keys() - _KEYS):
        raise InvalidRequest(
            f"unknown field {name[:80]!r} in outcome {row}",
            field=name[:80],
            expected="only `prediction_id`, `value` and `observed_at`",
            row=row,
            status=400,
        )
    identity, value = item.get("prediction_id"), item.get("value")
    if not isinstance(identity, str):
        raise InvalidRequest(
            f"`prediction_id` of outcome {row} is " + ("missing" if identity is None else show(identity)),
            field="prediction_id",
            expected="a prediction_id from a response of this installation",
            row=row,
        )
    model = model_of(identity)
    if not model:
        raise UnknownOutcome(identity, row)
    prediction = prediction_of(model)
    if not prediction.has_loss:
        raise InvalidRequest(
            f"outcome {row} is of model {model}, whose prediction is of kind {prediction.kind}",
            field="value",
            expected="outcomes of other models only; predictions of this kind have no outcomes",
            row=row,
        )
    number, label, numbers = None, "", {}
    if prediction.kind == "classes":
        found = labels_of(model).text_of(value)
        fit, label = found is not None, found or ""
    elif prediction.kind == "values":
        by_name = numbers_by_name(prediction, value)
        fit, numbers = by_name is not None, by_name or {}
    else:
        number = finite_number(value)
        fit = number is not None and fits(prediction, number)
    if not fit:
        raise InvalidRequest(
            f"`value` of outcome {row} is " + ("missing" if value is None else show(value)),
            field="value",
            expected=expected_outcome(prediction),
            row=row,
            hint=outcome_hint(prediction) if isinstance(value, str) else "",
        )
    observed_at = parse_timestamp(item.get("observed_at"), field="observed_at", now=now, row=row)
    return OutcomeItem(model, identity, number, observed_at, label, numbers)


class UnknownOutcome(InvalidRequest, NotFound):
    """An outcome for a prediction that no server of this installation made."""

    def __init__(self, identity: str, row: int) -> None:
        super().__init__(
            f"`prediction_id` {show(identity)} of outcome {row} names no prediction of this installation",
            field="prediction_id",
            expected="a prediction_id from a response of this installation",
            row=row,
            status=404,
        )
