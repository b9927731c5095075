"""`loop.yaml`: the model and its retraining policy. The only file of a model project that Homeostat reads."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from shared.contracts.duration import Duration, Length
from shared.contracts.feature import Feature, Matrix, Section

MODEL_NAME = r"^[a-z][a-z0-9_-]{0,62}$"
# Columns of a reference beside those: a model with labels has them.
CLASS_NAMES = frozenset({"label", "scores"})
MOST_LABELS = 1000
LONGEST_LABEL = 100
_NO_LOSSES = {
    "accuracy": "a metric is a loss, smaller is better: use error_rate (1 - accuracy); the gate reports accuracy as well",
    "macro_f1": "it is no mean over rows, so it has no interval: use log_loss or error_rate; the gate reports macro_f1 as well",
}


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
    if not value.isprintable() or value != value.strip() or not 1 <= len(value) <= LONGEST_LABEL:
        raise ValueError(f"a label is 1 to {LONGEST_LABEL} printable characters, without spaces at its ends")
    return value


Label = Annotated[int | str, BeforeValidator(_parse_label)]


class Prediction(Section):
    """What the model answers."""

    kind: Literal["probability", "value", "classes", "tensor"] = Field(
        description="probability (of the positive class), value (a regression), classes (one probability per label), "
        "or tensor (anything else; no loss is computed)."
    )
    labels: tuple[Label, ...] = Field(
        (),
        description="Labels of the classes, in the order of the model's output: all text, or all integers.",
    )
    output: str = Field("", description="Name of the model's output. Empty: the first.")

    @model_validator(mode="after")
    def _consistent(self) -> Prediction:
        if (self.kind == "classes") != bool(self.labels):
            raise ValueError("a prediction of kind classes needs `labels`, and no other kind has them")
        if self.labels and not 2 <= len(self.labels) <= MOST_LABELS:
            raise ValueError(f"`labels` has from 2 to {MOST_LABELS} entries")
        if len(set(map(type, self.labels))) > 1:
            raise ValueError("`labels` are all text or all integers: put every label in quotes")
        twice = next((label for label in self.labels if self.labels.count(label) > 1), None)
        if twice is not None:
            raise ValueError(f"`labels` names {twice} twice")
        return self

    @property
    def label_texts(self) -> tuple[str, ...]:
        """The labels as text, as the lake holds them."""
        return tuple(str(label) for label in self.labels)

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = write(self)
        if not self.labels:
            # Manifests of other kinds keep the bytes, and so the version names, that they had before there were labels.
            document.pop("labels", None)
        return document


class Outcome(Section):
    """The true value of a prediction, which arrives later."""

    delay: Duration = Field(
        description="Time after which outcomes have usually arrived; windows are evaluated after it."
    )


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
        "mae or rmse for values."
    )
    floor: float | None = Field(
        None,
        description="Realised loss above which performance counts as drifted, regardless of the reference.",
    )


class Window(Section):
    """What one verdict covers: a length of event time, or a number of rows."""

    every: Length | None = Field(None, description="Length of a window in event time.")
    rows: int | None = Field(None, ge=50, description="Length of a window in rows.")
    minimum_rows: int = Field(
        200,
        ge=20,
        description="Rows below which a window is `insufficient_data`, and the reference `warming_up`.",
    )

    @model_validator(mode="after")
    def _one_of(self) -> Window:
        if (self.every is None) == (self.rows is None):
            raise ValueError("give exactly one of `every` (event time) and `rows`")
        return self


class Drift(Section):
    """What counts as drift."""

    window: Window
    false_alarms_per_30_days: float = Field(
        1.0, gt=0, description="Expected false alarms, all signals together."
    )
    minimum_effect: float = Field(
        0.1,
        ge=0,
        description="Tolerance for feature and prediction drift; sampling noise is added. Unit: reference standard "
        "deviations for numbers, Jensen-Shannon distance for categories.",
    )
    missing_increase: float = Field(
        0.1,
        gt=0,
        le=1,
        description="A window is a data fault if a feature's share of missing values exceeds the reference by more than this.",
    )
    out_of_range: float = Field(
        0.01, gt=0, le=1, description="Share of values out of range that is a data fault."
    )
    loss_increase: float = Field(
        0.02,
        ge=0,
        description="Tolerance for the realised loss above the reference loss; sampling noise is added.",
    )


class DriftTrigger(Section):
    """Retrain when a verdict is `drift` and a signal of one of these kinds drifted."""

    when: Literal["drift"]
    kinds: tuple[Literal["feature", "prediction", "performance"], ...] = Field(
        ("performance",), description="Which signals count: feature, prediction, performance."
    )
    windows: int = Field(1, ge=1, description="Number of consecutive verdicts with such drift.")


class FloorTrigger(Section):
    """Retrain when the realised loss lies above the metric's floor."""

    when: Literal["floor"]


class ScheduleTrigger(Section):
    """Retrain when the served version is older than `every`, in event time."""

    when: Literal["schedule"]
    every: Length = Field(
        description="Interval in event time, counted from the creation of the served version or from the last run, "
        "whichever is later."
    )


class NewRowsTrigger(Section):
    """Retrain when this many rows with outcomes arrived since the served version was trained."""

    when: Literal["new_rows"]
    rows: int = Field(ge=1, description="Number of new rows with outcomes.")


# The tag is `when`: YAML 1.1 reads a bare `on` as true.
Trigger = Annotated[
    DriftTrigger | FloorTrigger | ScheduleTrigger | NewRowsTrigger, Field(discriminator="when")
]


class Budget(Section):
    """At most `runs` runs in any interval of event time of length `per`."""

    runs: int = Field(ge=1, description="Maximum number of runs in the interval.")
    per: Length = Field(description="Length of the interval, in event time.")


class AllRows(Section):
    """Train on everything logged so far."""

    use: Literal["all"]


class LastRows(Section):
    """Train on the last `span` of event time, or the last `rows` rows."""

    use: Literal["last"]
    span: Length | None = Field(None, description="Length of the range, in event time.")
    rows: int | None = Field(None, ge=50, description="Number of rows.")

    @model_validator(mode="after")
    def _one_of(self) -> LastRows:
        if (self.span is None) == (self.rows is None):
            raise ValueError("give exactly one of `span` and `rows`")
        return self


class SinceChange(Section):
    """Train on rows since the window in which drift was first detected; at least `minimum_rows`."""

    use: Literal["since_change"]
    minimum_rows: int = Field(
        2000, ge=50, description="Minimum number of rows; older rows are added to reach it."
    )


TrainingWindow = Annotated[AllRows | LastRows | SinceChange, Field(discriminator="use")]


class Retraining(Section):
    """The policy: triggers, training data and limits on the number of runs."""

    command: tuple[str, ...] = Field(
        min_length=1, description="Training command, run in the project's folder."
    )
    time_limit: Length = Field(
        timedelta(minutes=30), description="Training runs at most this long, then it is killed."
    )
    triggers: tuple[Trigger, ...] = Field(
        (),
        description="Conditions that start a run; `when` selects the form. None: only requests and external alerts.",
    )
    cooldown: Duration = Field(timedelta(0), description="Minimum event time between two runs.")
    budget: Budget | None = Field(None, description="Maximum number of runs per interval; none: no limit.")
    window: TrainingWindow = Field(
        AllRows(use="all"), description="Rows to train on; `use` selects the form."
    )
    minimum_rows: int = Field(
        1000, ge=50, description="Runs with fewer labelled training rows are abandoned."
    )


class Gate(Section):
    """The requirements that a challenger must meet to replace the champion."""

    holdout: Length = Field(
        description="Length of the holdout: the newest event time, used to evaluate both models and not for training."
    )
    minimum_rows: int = Field(500, ge=20, description="Minimum number of holdout rows with outcomes.")
    confidence: float = Field(
        0.9, gt=0.5, lt=1, description="Confidence of the interval around the gain (one-sided)."
    )
    minimum_gain: float = Field(
        0.0, description="Minimum gain in the metric; the lower confidence bound must exceed it."
    )
    maximum_latency_ratio: float = Field(
        3.0, gt=0, description="Maximum latency per call, as a multiple of the champion's."
    )


class LoopSpec(Section):
    """The contents of `loop.yaml`."""

    model: str = Field(pattern=MODEL_NAME, description="Name of the model.")
    description: str = Field("", description="Free text that describes the model.")
    features: tuple[Feature, ...] = Field(min_length=1)
    matrix: Matrix | None = None
    prediction: Prediction
    outcome: Outcome
    metric: Metric
    drift: Drift
    retraining: Retraining
    gate: Gate
    automation: Literal["observe", "suggest", "retrain", "approve", "auto"] = Field(
        "suggest", description="Automation level: see the concepts page."
    )

    @model_validator(mode="after")
    def _consistent(self) -> LoopSpec:
        names = [feature.name for feature in self.features]
        # The lake's column names are not case-sensitive.
        folded = [name.casefold() for name in names]
        twice = sorted({name for name in names if folded.count(name.casefold()) > 1})
        if twice:
            raise ValueError(f"features named twice (capitals do not count): {', '.join(twice)}")
        if self.matrix is not None:
            self.matrix.check(self.features)
        if self.prediction.kind == "classes":
            taken = [name for name in names if name in CLASS_NAMES]
            if taken:
                raise ValueError(
                    f"feature name {taken[0]!r} is reserved in a model of kind classes; choose another"
                )
        fits = {
            "probability": {"log_loss", "brier"},
            "value": {"mae", "rmse"},
            "classes": {"log_loss", "error_rate"},
            "tensor": {"mae", "rmse"},
        }
        if self.metric.name not in fits[self.prediction.kind]:
            allowed = ", ".join(sorted(fits[self.prediction.kind]))
            raise ValueError(
                f"metric {self.metric.name} does not fit a prediction of kind {self.prediction.kind}: use {allowed}"
            )
        if any(trigger.when == "floor" for trigger in self.retraining.triggers) and self.metric.floor is None:
            raise ValueError("a trigger when: floor needs metric.floor")
        return self

    @property
    def matrix_columns(self) -> tuple[str, ...]:
        """Features that reach the model as columns of its matrix, in order; empty if each feature has an input of its own."""
        return self.matrix.columns(self.features) if self.matrix is not None else ()

    def feature(self, name: str) -> Feature:
        """The feature of that name; KeyError where there is none."""
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = write(self)
        if self.matrix is None:
            # Manifests from before this key keep their bytes, and so their versions' names.
            document.pop("matrix", None)
        return document
