"""Refuses arguments of an export that cannot be meant, before the model is read, and those that do not fit the model. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from numbers import Real
from typing import Any

import pandas as pd
from pydantic import TypeAdapter

from shared.contracts.duration import Duration
from shared.contracts.loop_spec import MODEL_NAME
from shared.errors import ExportRefused

OUTCOME = "outcome"
EVENT_TIME = "event_time"
RUNTIMES = ("onnxruntime", "torch")
KINDS = ("probability", "value", "embedding")


def check_rows(rows: Any) -> pd.DataFrame:
    """The rows with texts as names of columns. Raises ExportRefused if they are no table, or an empty one."""
    if not isinstance(rows, pd.DataFrame):
        raise ExportRefused(
            f"rows is a {type(rows).__name__}",
            hint="expected a pandas.DataFrame or a pyarrow.Table with rows",
        )
    if not len(rows):
        raise ExportRefused("rows is empty", hint="pass rows that the model can score, with their outcomes")
    named: pd.DataFrame = rows.rename(columns=str)
    if named.columns.has_duplicates:
        twice = named.columns[named.columns.duplicated()][0]
        raise ExportRefused(f"the rows have two columns {twice!r}", hint="rename one, or drop it")
    return named


def check_arguments(
    columns: Sequence[str],
    *,
    name: str,
    outcome: str | Sequence[str],
    event_time: str,
    features: Sequence[str] | None,
    kind: str,
    labels: Sequence[Any] | None,
    runtime: str,
    tolerance: float,
    allowed_share: float,
    outcome_delay: str,
) -> None:
    """Raises ExportRefused that names the argument and what is allowed. `columns`: those of the rows.

    Only the default `outcome` and `event_time` may be absent from the rows: a name that was given is meant.
    """
    if name and (not isinstance(name, str) or re.fullmatch(MODEL_NAME, name) is None):
        raise ExportRefused(
            f"name={name!r} is not a name of a model",
            hint="expected lowercase letters, digits, _ and -, beginning with a letter, at most 63 characters",
        )
    if kind not in ("", *KINDS):
        raise ExportRefused(f"kind={kind!r} is unknown", hint=f"expected {_listed(KINDS)}, or leave it out")
    if runtime not in RUNTIMES:
        raise ExportRefused(
            f"runtime={runtime!r} is unknown", hint=f"expected {_listed(RUNTIMES)}, or leave it out"
        )
    for argument, value in (("tolerance", tolerance), ("allowed_share", allowed_share)):
        if not _is_share(value):
            raise ExportRefused(
                f"{argument}={value!r} is out of range",
                hint=f"expected a number from 0 to less than 1; the default is {_DEFAULTS[argument]}",
            )
    try:
        TypeAdapter(Duration).validate_python(outcome_delay)
    except ValueError:
        raise ExportRefused(
            f"outcome_delay={outcome_delay!r} is not a duration",
            hint="expected a number and a unit of s, m, h or d, such as '90m' or '7d'",
        ) from None
    _check_column(columns, "event_time", event_time, EVENT_TIME)
    if isinstance(outcome, str):
        _check_column(columns, "outcome", outcome, OUTCOME)
    elif not _is_list(outcome, (str,)):
        raise ExportRefused(
            f"outcome={outcome!r} is neither a text nor a list of texts",
            hint="expected the name of a column of the rows; of several values a list of names",
        )
    if features is not None:
        _check_features(columns, features)
    if labels is not None and not _is_list(labels, (str, int)):
        raise ExportRefused(
            f"labels={labels!r} is not a list of texts or whole numbers",
            hint="expected one label per class, in the order of the model's output, such as labels=['cat', 'dog', 'bird']",
        )


def check_fits_model(
    library: str,
    kind: str,
    chosen: Any,
    *,
    takes_options: bool,
    given: dict[str, Any],
) -> None:
    """Raises ExportRefused for an argument that would change nothing.

    `kind`: what the model predicts; `chosen`: its positive class.
    `takes_options`: the model is one of torch or ONNX, of which kind, output and labels are asked. `given`: the arguments.
    """
    positive = given["positive"]
    if positive is not None and kind != "probability":
        raise ExportRefused(
            f"positive={positive!r} is for a model of two classes; this one predicts {_PREDICTS[kind]}",
            hint="leave it out",
        )
    if positive is not None and chosen != positive and str(chosen) != str(positive):
        raise ExportRefused(
            f"positive={positive!r} is not the class of the one probability that the model returns, which is {chosen!r}",
            hint="return a probability of each class, [N, 2], or leave it out",
        )
    if given["runtime"] == "torch" and library != "torch":
        raise ExportRefused(
            f"runtime='torch' is for programs of torch.export; this model is of {library}",
            hint="leave it out: the model is converted to ONNX",
        )
    if takes_options:
        return
    for argument in ("kind", "output", "labels"):
        value = given[argument]
        if value and not (argument == "kind" and value == kind):
            raise ExportRefused(
                f"{argument}={value!r} is for models of torch and ONNX; this one is of {library} and predicts {_PREDICTS[kind]}",
                hint="leave it out",
            )


def check_no_outcome(names: Sequence[str], outcomes: Sequence[str]) -> None:
    """Raises ExportRefused for a model that reads an outcome, which is not known yet when a request is sent."""
    if read := [name for name in names if name in outcomes]:
        raise ExportRefused(
            f"the model was fitted with the column of outcomes {read[0]!r}, which no request has",
            hint=f"fit it without {read[0]!r}, or name the column that has the outcomes with outcome=",
        )


_DEFAULTS = {"tolerance": "0.0001", "allowed_share": "0.001"}
_PREDICTS = {
    "probability": "a probability",
    "value": "one value",
    "values": "several values",
    "classes": "more than two classes",
    "embedding": "an embedding",
}


def _is_share(value: Any) -> bool:
    # NaN is in no range; True is a number to Python.
    return not isinstance(value, bool) and isinstance(value, Real) and 0 <= float(value) < 1


def _is_list(values: Any, kinds: tuple[type, ...]) -> bool:
    """Whether it is a list, tuple, array, Index or Series of values of these types."""
    if isinstance(values, str | bytes | dict) or not hasattr(values, "__iter__"):
        return False
    plain = [getattr(one, "item", lambda one=one: one)() for one in values]
    return bool(plain) and all(isinstance(one, kinds) and not isinstance(one, bool) for one in plain)


def _check_column(columns: Collection[str], argument: str, name: Any, default: str) -> None:
    if name in columns or name == default:
        return
    raise ExportRefused(
        f"{argument}={name!r} is not a column of the rows", hint=f"expected one of: {', '.join(columns)}"
    )


def _check_features(columns: Collection[str], features: Any) -> None:
    if not _is_list(features, (str,)):
        raise ExportRefused(
            f"features={features!r} is not a list of texts",
            hint="expected names of columns of the rows, in the order of the fit",
        )
    for name in features:
        if name not in columns:
            raise ExportRefused(
                f"features= has {name!r}, which is not a column of the rows",
                hint=f"expected some of: {', '.join(columns)}",
            )
    if len(set(features)) != len(features):
        twice = next(name for name in features if list(features).count(name) > 1)
        raise ExportRefused(f"features= has {twice!r} twice", hint="name each column once")


def _listed(values: Sequence[str]) -> str:
    return " or ".join(map(repr, values))
