"""`prediction` and `metric` in `loop.yaml`: what the model answers for a row, and the loss that measures it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from shared.contracts.feature import FEATURE_NAME, Section

MAX_LABELS: Final = 1000
MAX_LABEL_LENGTH: Final = 100
# Each name has a score of prediction drift and a gauge.
MAX_NAMES: Final = 256
# A row of the log then has 64 KB.
MAX_EMBEDDING_SIZE: Final = 16_384
# Columns of a reference beside its features and `score`.
ANSWER_NAMES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "classes": frozenset({"label", "scores"}),
        "values": frozenset({"scores"}),
        "embedding": frozenset({"scores"}),
    }
)
# None for a kind whose answers cannot be compared with outcomes.
LOSSES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "probability": frozenset({"log_loss", "brier"}),
        "value": frozenset({"mae", "rmse"}),
        "values": frozenset({"mae", "rmse"}),
        "classes": frozenset({"log_loss", "error_rate"}),
        "embedding": frozenset(),
        "tensor": frozenset(),
    }
)
# What can be measured beside the loss that judges, by kind. `quantile_loss` names its quantile: quantile_loss(0.9).
METRICS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "probability": (
            "log_loss",
            "brier",
            "accuracy",
            "precision",
            "recall",
            "f1",
            "auc",
            "average_precision",
            "calibration_error",
        ),
        "classes": (
            "log_loss",
            "brier",
            "accuracy",
            "precision",
            "recall",
            "f1",
            "calibration_error",
        ),
        "value": ("mae", "rmse", "mape", "r2", "quantile_loss"),
        "values": ("mae", "rmse", "mape", "r2"),
        "embedding": (),
        "tensor": (),
    }
)
_QUANTILE_LOSS: Final = re.compile(r"quantile_loss\((0\.[0-9]{1,4})\)")
_NO_LOSSES = {
    "accuracy": "a metric is a loss, smaller is better: use error_rate (1 - accuracy); the gate reports accuracy as well",
    "macro_f1": "it is not a mean over rows, so it has no confidence interval: use log_loss or error_rate; the gate "
    "reports macro_f1 as well",
}
_NAME: Final = re.compile(FEATURE_NAME)


def _parse_label(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(
            "YAML reads an unquoted yes, no, on or off as true or false: put the label in quotes"
        )
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise ValueError("a label is at most a 64-bit integer")
        return value
    if not isinstance(value, str):
        raise ValueError("a label is text or an integer")
    if not value.isprintable() or value != value.strip() or not 1 <= len(value) <= MAX_LABEL_LENGTH:
        raise ValueError(
            f"a label is 1 to {MAX_LABEL_LENGTH} printable characters, without spaces at its ends"
        )
    return value


def _parse_name(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("YAML reads an unquoted yes, no, on or off as true or false: put the name in quotes")
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise ValueError("a name has letters, digits and _, no digit first, at most 63 characters")
    return value


Label = Annotated[int | str, BeforeValidator(_parse_label)]
Name = Annotated[str, BeforeValidator(_parse_name)]


class Prediction(Section):
    """What the model predicts."""

    kind: Literal["probability", "value", "values", "classes", "embedding", "tensor"] = Field(
        description="probability (of the positive class), value (a regression), values (several numbers per row, each with a "
        "name), classes (one probability per label), embedding (a vector of `size` numbers; no loss) or tensor (anything "
        "else; no loss)."
    )
    labels: tuple[Label, ...] = Field(
        (),
        description="Labels of the classes, in the order of the model's output: all text, or all integers.",
    )
    names: tuple[Name, ...] = Field(
        (), description="Names of the `values`, in the order of the model's output: at least two."
    )
    size: int = Field(0, ge=0, le=MAX_EMBEDDING_SIZE, description="Number of elements of an `embedding`.")
    output: str = Field("", description="Name of the model's output. Empty: the first.")
    positive: Label | None = Field(
        None,
        description="Class whose probability is the score of a `probability`: its outcome is 1. Default: 1. An export with "
        "another positive class is refused.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Prediction:
        if (self.kind == "classes") != bool(self.labels):
            raise ValueError("a prediction of kind classes needs `labels`, and no other kind has them")
        if (self.kind == "values") != bool(self.names):
            raise ValueError("a prediction of kind values needs `names`, and no other kind has them")
        if self.positive is not None and self.kind != "probability":
            raise ValueError("a prediction of kind probability can have `positive`, and no other kind has it")
        if (self.kind == "embedding") != bool(self.size):
            raise ValueError(
                "a prediction of kind embedding needs `size`, at least 1, and no other kind has it"
            )
        if self.labels and not 2 <= len(self.labels) <= MAX_LABELS:
            raise ValueError(f"`labels` has from 2 to {MAX_LABELS} entries")
        if self.names and not 2 <= len(self.names) <= MAX_NAMES:
            raise ValueError(f"`names` has from 2 to {MAX_NAMES} entries; a single number is of kind value")
        if len(set(map(type, self.labels))) > 1:
            raise ValueError("`labels` are all text or all integers: put every label in quotes")
        twice = next((label for label in self.labels if self.labels.count(label) > 1), None)
        if twice is not None:
            raise ValueError(f"`labels` names {twice} twice")
        # A training command reads them as fields of a column, which other tools compare without capitals.
        folded = [name.casefold() for name in self.names]
        again = next((name for name in self.names if folded.count(name.casefold()) > 1), None)
        if again is not None:
            raise ValueError(f"`names` has {again} twice (capitals do not count)")
        return self

    @property
    def label_texts(self) -> tuple[str, ...]:
        """The labels as text, as the lake holds them."""
        return tuple(str(label) for label in self.labels)

    @property
    def has_loss(self) -> bool:
        """Whether answers are compared with outcomes: only then can a version be measured, and so retrained."""
        return bool(LOSSES[self.kind])

    @property
    def has_score(self) -> bool:
        """Whether an answer is one number, which the lake holds as `score`."""
        return self.kind in ("probability", "value")

    @property
    def width(self) -> int:
        """Numbers in an answer that is a row of them (probabilities, values or an embedding); 0 for other kinds."""
        return len(self.labels) or len(self.names) or self.size

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = write(self)
        for key in ("labels", "names", "size"):
            if not document[key]:
                # Manifests of other kinds keep the bytes, and so the version names, that they had before there was such a key.
                del document[key]
        if document["positive"] is None:
            del document["positive"]
        return document


def _parse_metric(value: Any) -> Any:
    if isinstance(value, str) and value in _NO_LOSSES:
        raise ValueError(_NO_LOSSES[value])
    return value


class Metric(Section):
    """The loss that measures a version."""

    name: Annotated[
        Literal["log_loss", "error_rate", "brier", "mae", "rmse"], BeforeValidator(_parse_metric)
    ] = Field(
        description="Loss; smaller is better. log_loss or brier for a probability, log_loss or error_rate for classes, "
        "mae or rmse for a value or values."
    )
    floor: float | None = Field(
        None,
        description="Realised loss above which performance counts as drifted, regardless of the reference.",
    )


def quantile_of(metric: str) -> float | None:
    """The quantile of a quantile loss; None of another metric.

    >>> quantile_of("quantile_loss(0.9)"), quantile_of("mae")
    (0.9, None)
    """
    found = _QUANTILE_LOSS.fullmatch(metric)
    return float(found.group(1)) if found else None


def check_metrics(metrics: tuple[str, ...], kind: str) -> None:
    """Raises ValueError that names the first metric which does not fit a prediction of that kind, or is there twice."""
    for place, metric in enumerate(metrics):
        quantile = quantile_of(metric)
        if (metric if quantile is None else "quantile_loss") not in METRICS[kind] or quantile == 0:
            raise ValueError(
                f"metrics.{place} is {metric!r}, which does not fit a prediction of kind {kind}: use {_allowed(kind)}"
            )
        if metric == "quantile_loss":
            raise ValueError(
                f"metrics.{place} is {metric!r}; expected its quantile too, as in quantile_loss(0.9)"
            )
        if metric in metrics[:place]:
            raise ValueError(f"metrics names {metric} twice")


def _allowed(kind: str) -> str:
    names = [f"{name}(0.9)" if name == "quantile_loss" else name for name in METRICS[kind]]
    return ", ".join(names) or "none, since such a prediction is not compared with outcomes"
