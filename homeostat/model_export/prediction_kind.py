"""What the model answers, as `loop.yaml` names it: inferred from the model's classes. Pure.

A kind to add is a function here; the library modules only report classes, and the writer only reads the result.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from homeostat.model_export.probabilities import are_probabilities
from shared.contracts.prediction import MAX_LABEL_LENGTH, Prediction
from shared.errors import ExportRefused

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PredictionKind:
    """The kind of prediction and its metric; no metric of an embedding, which is not compared with outcomes.

    `positive`: the class whose probability is the score. `labels` of several classes and `names` of several values are in the
    order of the model's output. `size`: numbers of an embedding.
    """

    name: Literal["probability", "value", "classes", "values", "embedding"]
    metric: Literal["log_loss", "rmse", ""]
    positive: Any = None
    labels: tuple[int, ...] | tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    size: int = 0

    def outcomes(self, given: pd.Series[Any] | pd.DataFrame) -> Floats:
        """The outcomes as numbers, NaN where unknown.

        The value; 1 for the positive class and 0 for the other; of several classes the place of the label; of several values
        [N, K], one for each name.
        """
        if isinstance(given, pd.DataFrame):
            numbers = np.stack([self._numbers(given[name]) for name in self.names], axis=1)
            # An outcome has all its numbers, or is none: the loss is the mean over them.
            return np.where(np.isfinite(numbers).all(axis=1, keepdims=True), numbers, np.nan)
        return self._numbers(given)

    @property
    def positive_label(self) -> int | str:
        """The positive class of a probability as `prediction.positive` holds it: a whole number, or a text of one line.

        >>> PredictionKind("probability", "log_loss", "bad").positive_label
        'bad'
        """
        if isinstance(self.positive, int | float) and float(self.positive).is_integer():
            return int(self.positive)
        text = str(self.positive)
        fits = text.isprintable() and text == text.strip() and 1 <= len(text) <= MAX_LABEL_LENGTH
        return text if fits else repr(self.positive)[:MAX_LABEL_LENGTH]

    def _numbers(self, column: pd.Series[Any]) -> Floats:
        missing = column.isna().to_numpy(dtype=bool)
        if self.name == "probability":
            numbers = (column == self.positive).fillna(False).to_numpy(dtype=np.float64)
        elif self.name == "classes":
            places = {label: place for place, label in enumerate(self.labels)}
            numbers = np.array([places.get(plain(value), -1) for value in column], dtype=np.float64)
        else:
            try:
                numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
            except (TypeError, ValueError):
                raise ExportRefused(
                    f"the outcome column {column.name!r} holds values that are not numbers",
                    hint="a regression's outcome is a number; name another column with `outcome=`",
                ) from None
        return np.where(missing, np.nan, numbers)

    def outcome_column(self, outcomes: Floats) -> pa.Array:
        """What the reference holds of `outcomes`: numbers, or labels; null where unknown."""
        if self.names:
            numbers = [pa.array(column, pa.float64(), from_pandas=True) for column in outcomes.T]
            unknown = pa.array(np.isnan(outcomes).all(axis=1))
            return pa.StructArray.from_arrays(numbers, names=list(self.names), mask=unknown)
        if self.name != "classes":
            return pa.array(outcomes, pa.float64(), from_pandas=True)
        kind = pa.int64() if isinstance(self.labels[0], int) else pa.string()
        return pa.array(
            [None if value != value else self.labels[int(value)] for value in outcomes.tolist()], kind
        )


VALUE = PredictionKind("value", "rmse")


def of_values(names: Sequence[str]) -> PredictionKind:
    """The kind of a regression of several numbers per row; of one without names."""
    return PredictionKind("values", "rmse", names=tuple(names)) if names else VALUE


def of_embedding(shape: Sequence[int], rows: int, outcomes: pd.Series[Any] | None) -> PredictionKind:
    """The kind of a model that returns `shape` for so many rows, called an embedding. Raises ExportRefused if it is none."""
    if len(shape) != 2 or shape[0] != rows:
        raise ExportRefused(
            f"kind='embedding', and the model returns shape {list(shape)} for {rows} rows",
            hint="return one vector per row, [N, size]",
        )
    if outcomes is not None:
        raise ExportRefused(
            f"an embedding is not compared with outcomes, and the rows have the outcome column {outcomes.name!r}",
            hint=f"leave it out: rows.drop(columns={outcomes.name!r})",
        )
    return PredictionKind("embedding", "", size=shape[1])


def of_classes(classes: Sequence[Any], *, positive: Any = None) -> PredictionKind:
    """A classifier's kind: a probability of two classes, else classes.

    `positive`: the one of two classes whose probability is the score; by default the second. Raises ExportRefused for more than
    two classes that are neither texts nor whole numbers.
    """
    known = [plain(one) for one in classes]
    if len(known) > 2:
        return _of_several(known, positive)
    if len(known) < 2:
        raise ExportRefused("the model has one class", hint="fit it on rows of two classes or more")
    if positive is None:
        positive = known[1]
    if positive not in known:  # the command line has no types: 1 may be the text "1"
        positive = next((one for one in known if str(one) == str(positive)), positive)
    if positive not in known:
        raise ExportRefused(
            f"positive={positive!r} is not a class of the model",
            hint=f"its classes are {known[0]!r} and {known[1]!r}",
        )
    return PredictionKind("probability", "log_loss", positive)


def _of_several(known: Sequence[Any], positive: Any) -> PredictionKind:
    if positive is not None:
        raise ExportRefused(
            f"positive={positive!r} is for two classes; the model has {len(known)}", hint="leave it out"
        )
    whole = [int(one) if isinstance(one, float) and one.is_integer() else one for one in known]
    if all(isinstance(one, str) for one in whole) or all(type(one) is int for one in whole):
        return PredictionKind("classes", "log_loss", labels=tuple(whole))
    raise ExportRefused(
        f"the classes {', '.join(map(repr, known[:5]))} are neither all texts nor all whole numbers",
        hint="fit with texts or whole numbers as classes",
    )


def kind_of_scores(
    scores: Floats, outcomes: pd.Series[Any] | None, *, kind: str = "", sigmoid: str = "end it with a sigmoid"
) -> PredictionKind:
    """The kind of a model that does not say it: a probability if outcomes are 0 and 1 and scores lie between.

    `kind`: what the caller says, if anything; `sigmoid`: how to add one, for the hint.
    Raises ExportRefused for outcomes 0 and 1 with other scores.
    """
    between = are_probabilities(scores)
    binary = outcomes is not None and bool(outcomes.dropna().isin([0, 1]).all())
    if kind == "probability" and not between:
        raise ExportRefused(
            f"kind='probability', and the model returns scores from {scores.min():.3g} to {scores.max():.3g}",
            hint=f"if they are logits, {sigmoid}",
        )
    if between and outcomes is not None:
        _refuse_two_texts(outcomes)
    if kind == "value" or (not kind and not binary):
        return VALUE
    if not between:
        raise ExportRefused(
            f"the outcomes are 0 and 1, and the model returns scores from {scores.min():.3g} to {scores.max():.3g}",
            hint=f"if they are logits, {sigmoid}; if they are values, pass kind='value'",
        )
    return of_classes((0, 1))


def _refuse_two_texts(outcomes: pd.Series[Any]) -> None:
    """Of one probability per row nothing says which of two texts it is of."""
    values = sorted({one for one in outcomes.dropna() if isinstance(one, str)})
    if len(values) == 2:
        column = f'rows["{outcomes.name}"]'
        raise ExportRefused(
            f"the outcomes are {values[0]!r} and {values[1]!r}, and the model returns one score from 0 to 1 per row",
            hint=f"if it is the probability of {values[1]!r}, write them as 1 and 0: "
            f"{column} = {column}.eq({values[1]!r}).astype(int)",
        )


def check_outcomes(kind: PredictionKind, classes: Sequence[Any], column: pd.Series[Any]) -> None:
    """Raises ExportRefused if outcomes of a classifier are not among its classes."""
    if kind.name in ("value", "values", "embedding"):
        return
    known = {plain(one) for one in classes}
    strange = [value for value in map(plain, column.dropna().unique()) if value not in known]
    if strange:
        raise ExportRefused(
            f"the outcome column {column.name!r} has the value {strange[0]!r}",
            hint=f"expected the model's classes: {', '.join(map(repr, sorted(known, key=str)))}; if they were "
            "encoded for the fit, encode them here as well",
        )


def check_project(kind: PredictionKind, prediction: Prediction) -> None:
    """Raises ExportRefused if an export of `kind` does not mean the same as `prediction` of the project's loop.yaml.

    The log and the outcomes are about its classes: a probability of the other class would be served as its opposite.
    """
    if prediction.labels != kind.labels:
        raise ExportRefused(
            f"loop.yaml has the labels {_listed(prediction.labels)}, the model has {_listed(kind.labels)}",
            hint="export another model into another folder; of its next version write the labels into loop.yaml, in this order: "
            "the log holds them by name",
        )
    if prediction.names != kind.names:
        raise ExportRefused(
            f"loop.yaml has the names {_listed(prediction.names)}, the model has {_listed(kind.names)}",
            hint="give the outcomes in the order of loop.yaml: --outcome for each, in Python outcome=[...]",
        )
    if prediction.size != kind.size:
        raise ExportRefused(
            f"loop.yaml has an embedding of size {prediction.size}, the model returns {kind.size} numbers",
            hint="set prediction.size in loop.yaml, or export into another folder",
        )
    if kind.name != "probability" or prediction.kind != "probability":
        return
    expected = 1 if prediction.positive is None else prediction.positive
    found = kind.positive_label
    if expected == found:
        return
    if prediction.positive is None:
        key = f"positive: {json.dumps(found, ensure_ascii=False)}"
        raise ExportRefused(
            f"loop.yaml does not say which class has outcome 1, and this export has {found!r}",
            hint=f"if 1 meant this class so far, add `{key}` to prediction in loop.yaml; else export the other class: "
            "--positive, in Python positive=",
        )
    raise ExportRefused(
        f"loop.yaml has {expected!r} as outcome 1, this export has {found!r}",
        hint=f"give --positive {shlex.quote(str(expected))}, in Python positive={expected!r}",
    )


def _listed(labels: Sequence[Any]) -> str:
    return ", ".join(map(str, labels)) or "none"


def plain(value: Any) -> Any:
    """A class or an outcome as Python's own type, from numpy's."""
    return value.item() if isinstance(value, np.generic) else value
