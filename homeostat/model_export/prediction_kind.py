"""What the model answers, as `loop.yaml` names it: inferred from the model's classes. Pure.

A kind to add is a function here; the library modules only report classes, and the writer only reads the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from shared.errors import ExportRefused

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PredictionKind:
    """The kind of prediction and its metric; `positive` is the class whose probability is the score."""

    name: Literal["probability", "value"]
    metric: Literal["log_loss", "rmse"]
    positive: Any = None

    def outcomes(self, column: pd.Series[Any]) -> Floats:
        """The outcome column as numbers, NaN where unknown: 1 for the positive class and 0 for the other, or the value."""
        missing = column.isna().to_numpy(dtype=bool)
        if self.name == "probability":
            numbers = (column == self.positive).fillna(False).to_numpy(dtype=np.float64)
        else:
            try:
                numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
            except (TypeError, ValueError) as error:
                raise ExportRefused(
                    f"the outcome column {column.name!r} holds values that are not numbers",
                    hint="a regression's outcome is a number; name another column with `outcome=`",
                ) from error
        return np.where(missing, np.nan, numbers)


VALUE = PredictionKind("value", "rmse")


def of_classes(classes: Sequence[Any], *, positive: Any = None) -> PredictionKind:
    """A classifier's kind. `positive`: the class whose probability is the score; by default the second.

    Raises ExportRefused for any number of classes but two.
    """
    known = [_plain(one) for one in classes]
    if len(known) != 2:
        raise ExportRefused(
            f"the model has {len(known)} classes; a probability needs two",
            hint="fit one model per class (this class or any other); several classes in one model are not served yet",
        )
    if positive is None:
        positive = known[1]
    if positive not in known:
        raise ExportRefused(
            f"positive={positive!r} is not a class of the model",
            hint=f"its classes are {known[0]!r} and {known[1]!r}",
        )
    return PredictionKind("probability", "log_loss", positive)


def kind_of_scores(scores: Floats, outcomes: pd.Series[Any] | None, *, kind: str = "") -> PredictionKind:
    """The kind of a model that does not say it: a probability if outcomes are 0 and 1 and scores lie between.

    `kind`: what the caller says, if anything. Raises ExportRefused for outcomes 0 and 1 with other scores.
    """
    if kind not in ("", "probability", "value"):
        raise ExportRefused(f"kind={kind!r} is unknown", hint="expected 'probability' or 'value'")
    between = bool(((scores >= 0) & (scores <= 1)).all())
    binary = outcomes is not None and bool(outcomes.dropna().isin([0, 1]).all())
    if kind == "probability" and not between:
        raise ExportRefused(
            "the model returns scores that are no probabilities", hint="end it with a sigmoid"
        )
    if kind == "value" or (not kind and not binary):
        return VALUE
    if not between:
        raise ExportRefused(
            "the outcomes are 0 and 1, and the model returns scores outside of that range",
            hint="end the model with a sigmoid, or say kind='value'",
        )
    return of_classes((0, 1))


def check_outcomes(kind: PredictionKind, classes: Sequence[Any], column: pd.Series[Any]) -> None:
    """Raises ExportRefused if outcomes of a classifier are not among its classes."""
    if kind.name != "probability":
        return
    known = {_plain(one) for one in classes}
    strange = [value for value in map(_plain, column.dropna().unique()) if value not in known]
    if strange:
        raise ExportRefused(
            f"the outcome column {column.name!r} has the value {strange[0]!r}",
            hint=f"expected the model's classes: {', '.join(map(repr, sorted(known, key=str)))}",
        )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
