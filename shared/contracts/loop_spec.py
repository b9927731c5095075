"""`loop.yaml`: the model and its retraining policy. The only file of a model project that Homeostat reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from shared.contracts.duration import Duration, Length
from shared.contracts.feature import CategoryMethod, Feature, Key, Matrix, NumberMethod, Section
from shared.contracts.gate.challenger_checks import check_fairness
from shared.contracts.gate.rollout_spec import Rollout
from shared.contracts.policies.shadow_policy import ShadowPolicy, check_shadow_policies
from shared.contracts.prediction import ANSWER_NAMES, LOSSES, Metric, Prediction, check_metrics
from shared.contracts.retraining_spec import Costs, Gate, Retraining, Training
from shared.contracts.slices.custom_metric import CustomMetric, check_custom_metrics
from shared.contracts.slices.slice_spec import SliceSpec, check_slices
from shared.errors import ProjectError

DEFAULT_BOUND = timedelta(days=30)
MODEL_NAME = r"^[a-z][a-z0-9_-]{0,62}$"


class Outcome(Section):
    """The true value of a prediction, which arrives later."""

    delay: Duration = Field(
        description="Time after which outcomes have usually arrived; then the performance of a window is judged."
    )
    contradictions: float = Field(
        0.05,
        gt=0,
        le=1,
        description="Tolerance for the share of outcomes that differ from another outcome of the same prediction, such as "
        "corrections; sampling noise is added. Beyond it a window is a data fault, a training leaves these rows out, and a "
        "challenger is not judged. 1: no bound.",
    )
    excluded_senders: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(
        (),
        description="Names of API keys that have sent wrong outcomes. Their outcomes stay in the log, but are ignored by drift's "
        "evaluation, training, holdouts, the watch after a release and the gate. Only their times count, for the watermark of "
        "outcomes.",
    )

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = write(self)
        # Manifests from before these keys keep their bytes, and so their versions' names.
        for name in ("contradictions", "excluded_senders"):
            if getattr(self, name) == Outcome.model_fields[name].default:
                del document[name]
        return document


class EventTime(Section):
    """Times of requests and outcomes that may move a model's watermarks."""

    bound: Length = Field(
        DEFAULT_BOUND,
        description="Maximum distance of a row's event time from its model's newest row. Rows further ahead are answered and "
        "logged, but move no watermark until 1,000 of them, from 100 requests, have arrived. Live rows after a pause move it at "
        "once. Rows further behind are counted.",
    )


class Window(Section):
    """Length of a window, in event time or in rows. Each window gets one verdict."""

    every: Length | None = Field(None, description="Length of a window in event time.")
    rows: int | None = Field(None, ge=50, description="Length of a window in rows.")
    minimum_rows: int = Field(
        200,
        ge=20,
        description="Minimum number of rows. With fewer in the window the verdict is `insufficient_data`, "
        "with fewer in the reference `warming_up`.",
    )

    @model_validator(mode="after")
    def _one_of(self) -> Window:
        if (self.every is None) == (self.rows is None):
            raise ValueError("give exactly one of `every` (event time) and `rows`")
        return self


class Methods(Section):
    """Evidently's methods that measure the drift of features and predictions. Thresholds are calibrated for each."""

    number: NumberMethod = Field("wasserstein", description="Method for numbers.")
    category: CategoryMethod = Field("jensenshannon", description="Method for categories and booleans.")


class Drift(Section):
    """What counts as drift."""

    window: Window
    false_alarms_per_30_days: float = Field(
        1.0, gt=0, description="Maximum expected number of false alarms in 30 days, over all signals."
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
        description="Tolerance for the share of missing values above that of the reference; beyond it the window is a "
        "data fault.",
    )
    out_of_range: float = Field(
        0.01,
        gt=0,
        le=1,
        description="Tolerance for the share of values out of range; beyond it the window is a data fault.",
    )
    loss_increase: float = Field(
        0.02,
        ge=0,
        description="Tolerance for the realised loss above the reference loss; sampling noise is added.",
    )
    methods: Methods = Methods()

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = write(self)
        if self.methods == Methods():
            # Manifests from before this key keep their bytes, and so their versions' names.
            document.pop("methods", None)
        return document


_WITH_LOSS = "Required for a kind with a loss; refused for others."


@dataclass(frozen=True)
class Performance:
    """What only a model has whose answers are compared with outcomes: how it is measured, and retrained."""

    outcome: Outcome
    metric: Metric
    retraining: Retraining
    gate: Gate


class LoopSpec(Section):
    """The contents of `loop.yaml`."""

    model: str = Field(pattern=MODEL_NAME, description="Name of the model.")
    description: str = Field("", description="Free text that describes the model.")
    features: tuple[Feature, ...] = Field(min_length=1)
    matrix: Matrix | None = None
    key: Key = Key()
    prediction: Prediction
    outcome: Outcome | None = Field(
        None, description=f"The true value of a prediction, which arrives later. {_WITH_LOSS}"
    )
    metric: Metric | None = Field(None, description=f"The loss that measures a version. {_WITH_LOSS}")
    metrics: tuple[str, ...] = Field(
        (),
        description="Metrics measured beside the loss, in every window and slice. No verdict depends on them. Probability: "
        "log_loss, brier, accuracy, precision, recall, f1 (at 0.5), auc, average_precision, calibration_error. Classes: "
        "log_loss, brier, accuracy, precision, recall, f1 (means over the classes), calibration_error. Value: mae, rmse, mape, "
        "r2, quantile_loss(0.9). Values: mae, rmse, mape, r2.",
    )
    custom_metrics: tuple[CustomMetric, ...] = Field(
        (),
        description="Metrics of your own, such as a cost by outcome, shown like `metrics`. Not for kind values.",
    )
    drift: Drift
    event_time: EventTime = EventTime()
    slices: tuple[SliceSpec, ...] = Field(
        (),
        description="Parts of the rows whose performance is judged on its own as well: the values of a feature, or the rows of a "
        "condition.",
    )
    retraining: Retraining | None = Field(
        None,
        description="The policy: triggers, training data and limits on the number of runs. Required for a kind with a loss. "
        "Other kinds may set `command`, `environment` and `time_limit`, for `homeostat deploy`.",
    )
    shadow_policies: tuple[ShadowPolicy, ...] = Field(
        (),
        description="Policies that are decided and logged beside the armed one, and start nothing. What each would have cost is "
        "shown.",
    )
    costs: Costs | None = Field(
        None,
        description="What trainings and losses cost, for `homeostat backtest`. Default: trainings cost nothing.",
    )
    training: Training | None = Field(
        None,
        description="Limits of the training process, beside `retraining.time_limit`. Default: those of the service.",
    )
    gate: Gate | None = Field(
        None,
        description=f"The requirements that a challenger must meet to replace the champion. {_WITH_LOSS}",
    )
    rollout: Rollout = Field(
        Rollout(),
        description="How a challenger is tried before its promotion, and a released version watched. Refused for kinds without a "
        "loss.",
    )
    automation: Literal["observe", "suggest", "retrain", "approve", "auto"] = Field(
        "suggest",
        description="Automation level: see the concepts page. For a kind without a loss the only level, and the default, "
        "is observe.",
    )

    @model_validator(mode="before")
    @classmethod
    def _observe_without_loss(cls, document: Any) -> Any:
        if not isinstance(document, dict) or "automation" in document:
            return document
        prediction = document.get("prediction")
        kind = prediction.get("kind") if isinstance(prediction, dict) else None
        return {**document, "automation": "observe"} if LOSSES.get(str(kind)) == frozenset() else document

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
        check_slices(self.slices, self.features)
        unlogged = next((feature for feature in self.features if feature.is_unlogged), None)
        if unlogged is not None and self.automation != "observe":
            raise ValueError(
                f"feature {unlogged.name} has personal: {unlogged.personal}, so nothing can be trained on its logged values: set "
                f"automation: observe, or personal: pseudonym"
            )
        kind = self.prediction.kind
        taken = [name for name in names if name in ANSWER_NAMES.get(kind, ())]
        if taken:
            raise ValueError(
                f"feature name {taken[0]!r} is reserved in a model of kind {kind}; choose another"
            )
        check_custom_metrics(self.custom_metrics, self.features, self.prediction)
        check_shadow_policies(self.shadow_policies, self.retraining if self.prediction.has_loss else None)
        if not self.prediction.has_loss:
            return self
        check_metrics(self.metrics, kind)
        for key in ("outcome", "metric", "retraining", "gate"):
            if getattr(self, key) is None:
                raise ValidationError.from_exception_data(
                    "LoopSpec", [{"type": "missing", "loc": (key,), "input": None}]
                )
        assert self.metric is not None
        assert self.retraining is not None
        if self.gate is not None and self.gate.fairness is not None:
            check_fairness(self.gate.fairness, self.features, kind)
        if self.metric.name not in LOSSES[kind]:
            allowed = ", ".join(sorted(LOSSES[kind]))
            raise ValueError(
                f"metric {self.metric.name} does not fit a prediction of kind {kind}: use {allowed}"
            )
        shadows = [trigger for one in self.shadow_policies for trigger in one.retraining.triggers or ()]
        triggers = [*self.retraining.triggers, *shadows]
        if any(trigger.when == "floor" for trigger in triggers) and self.metric.floor is None:
            raise ValueError("a trigger when: floor needs metric.floor")
        return self

    @property
    def matrix_columns(self) -> tuple[str, ...]:
        """Features that reach the model as columns of its matrix, in order; empty if each feature has an input of its own."""
        return self.matrix.columns(self.features) if self.matrix is not None else ()

    @property
    def performance(self) -> Performance | None:
        """How the model is measured and retrained; None for a kind without a loss.

        A version of kind tensor from before these keys were optional has them: nothing could ever be computed with them.
        """
        parts = self.outcome, self.metric, self.retraining, self.gate
        if not self.prediction.has_loss or None in parts:
            return None
        return Performance(*parts)  # type: ignore[arg-type]

    def require_performance(self) -> Performance:
        """`performance`, for what only a model with a loss reaches. Raises ProjectError."""
        performance = self.performance
        if performance is None:
            raise ProjectError(
                f"the prediction of {self.model} is of kind {self.prediction.kind}, which has no loss, so it is not retrained",
                hint="deploy a new version with `homeostat deploy`",
            )
        return performance

    @property
    def excluded_senders(self) -> tuple[str, ...]:
        """The API keys, by name, whose outcomes do not count."""
        return self.outcome.excluded_senders if self.outcome is not None else ()

    def feature(self, name: str) -> Feature:
        """The feature of that name; KeyError where there is none."""
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = write(self)
        # Manifests from before a key keep their bytes, and so their versions' names.
        defaults: dict[str, Any] = dict.fromkeys(
            ("metrics", "custom_metrics", "slices", "shadow_policies"), ()
        )
        defaults |= {"rollout": Rollout(), "event_time": EventTime(), "key": Key()}
        unset = {name for name, default in defaults.items() if getattr(self, name) == default}
        return {name: value for name, value in document.items() if value is not None and name not in unset}
