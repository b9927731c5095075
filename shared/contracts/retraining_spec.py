"""`retraining`, `gate`, `costs` and `training` of loop.yaml: when to retrain, and what a challenger must prove."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from shared.contracts.duration import Duration, Length
from shared.contracts.feature import Section
from shared.contracts.gate.challenger_checks import Calibration, Fairness, Robustness, SliceBound

VARIABLE_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
_ADDED_TO_GATE = frozenset(
    {
        *("maximum_size_mib", "maximum_memory_mib", "minimum_agreement"),
        *("slices", "robustness", "calibration", "fairness", "expectations"),
    }
)
# Words of Dask and of Kubernetes, such as GPU and nvidia.com/gpu.
RESOURCE_NAME = r"^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$"
LauncherName = Literal["process", "dask", "kubernetes"]
MAX_TRIGGERS = 32
ResourceName = Annotated[str, Field(pattern=RESOURCE_NAME, max_length=100)]
VariableName = Annotated[str, Field(pattern=VARIABLE_NAME, max_length=100)]


class DriftTrigger(Section):
    """Retrain when a verdict is `drift` and a signal of one of these kinds drifted."""

    when: Literal["drift"]
    kinds: tuple[Literal["feature", "prediction", "estimated_performance", "performance"], ...] = Field(
        ("performance",),
        max_length=4,
        description="Signals that count: feature, prediction, estimated_performance (without outcomes), performance.",
    )
    windows: int = Field(1, ge=1, description="Number of consecutive verdicts that must have such drift.")


class FloorTrigger(Section):
    """Retrain when the realised loss is above `metric.floor`."""

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


class WorseThanFirstTrigger(Section):
    """Retrain when evidence has added up that the served version loses more than the first released one on the same rows."""

    when: Literal["worse_than_first"]
    tolerance: float = Field(
        0.02,
        ge=0,
        lt=10,
        description="By how much the loss may exceed that of the first version, as a share of it.",
    )


# The tag is `when`: YAML 1.1 reads a bare `on` as true.
Trigger = Annotated[
    DriftTrigger | FloorTrigger | ScheduleTrigger | NewRowsTrigger | WorseThanFirstTrigger,
    Field(discriminator="when"),
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
        timedelta(minutes=30), description="Time limit for training; after it the training process is killed."
    )
    environment: tuple[VariableName, ...] = Field(
        (),
        max_length=100,
        description="Names of environment variables of the service that the training command receives, beside a few without "
        "secrets such as PATH, HOME and LANG.",
    )
    # Each is looked at for each verdict, also of a policy that somebody only asks about (`what-if`).
    triggers: tuple[Trigger, ...] = Field(
        (),
        max_length=MAX_TRIGGERS,
        description="Conditions that start a run; `when` selects the form. Without triggers, only requests and alerts "
        "start runs.",
    )
    cooldown: Duration = Field(timedelta(0), description="Minimum event time between two runs.")
    budget: Budget | None = Field(None, description="Maximum number of runs per interval. Default: no limit.")
    window: TrainingWindow = Field(
        AllRows(use="all"), description="Rows to train on; `use` selects the form."
    )
    minimum_rows: int = Field(
        1000, ge=50, description="Runs with fewer labelled training rows are abandoned."
    )
    approval_timeout: Length | None = Field(
        None,
        description="How long a run waits for a person's approval to start or to be promoted, in wall-clock time; then it ends "
        "as `refused` (`approval_expired`), and another run can begin. Default: no limit.",
    )

    @field_validator("environment")
    @classmethod
    def _no_settings(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name.upper().startswith("HOMEOSTAT_"):
                raise ValueError(
                    f"{name} is a setting of Homeostat, which may be a secret; give another name"
                )
        return names

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = write(self)
        # Manifests from before these keys keep their bytes, and so their versions' names.
        if not self.environment:
            document.pop("environment", None)
        if self.approval_timeout is None:
            document.pop("approval_timeout", None)
        return document


class Costs(Section):
    """What trainings and losses cost, in one unit of your choice: a back-test compares policies by the sum."""

    training: float = Field(0.0, ge=0, description="Cost of one training.")
    loss: float = Field(
        1.0,
        gt=0,
        description="Cost of one unit of loss of one row; of rmse, of one unit of its squared error.",
    )


class Training(Section):
    """Limits of the training process, beside `retraining.time_limit`. An operator may set tighter ones."""

    memory_mib: int | None = Field(
        None,
        ge=64,
        description="Memory limit of the training command in MiB, of each of its processes and of all together. Default: no "
        "limit.",
    )
    cpu_time: Length | None = Field(
        None, description="CPU time that each process of the training command may use. Default: no limit."
    )
    network: Literal["allow", "none"] = Field(
        "allow",
        description="`none`: the training command has no network, only its own 127.0.0.1. Where the system does not allow that, "
        "the run fails.",
    )
    launcher: LauncherName = Field(
        "process",
        description="Where the training command runs: `process`, beside retraining; `dask`, on a worker of a Dask cluster; "
        "`kubernetes`, as a job.",
    )
    resources: dict[ResourceName, Annotated[float, Field(gt=0)]] = Field(
        {},
        max_length=20,
        description="What the training needs, by name: resources of a Dask worker such as `GPU: 1`, or of a Kubernetes container "
        "such as `cpu: 2` and `nvidia.com/gpu: 1`.",
    )

    @model_validator(mode="after")
    def _kept_by_launcher(self) -> Training:
        if self.launcher == "process" and self.resources:
            raise ValueError("resources are for the launchers dask and kubernetes")
        if self.launcher == "kubernetes" and self.network == "none":
            raise ValueError(
                "the launcher kubernetes cannot keep `network: none`, since whether network policies hold depends on the "
                "cluster; use the launcher process or dask, or let the network be and deny it by a policy of the cluster"
            )
        return self

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = write(self)
        # Manifests from before these keys keep their bytes, and so their versions' names.
        if self.launcher == "process":
            document.pop("launcher", None)
        if not self.resources:
            document.pop("resources", None)
        return document


class Gate(Section):
    """The requirements that a challenger must meet to replace the champion."""

    holdout: Length = Field(
        description="Length of the holdout in event time: the newest rows, which are not used for training; both models "
        "are evaluated on them."
    )
    minimum_rows: int = Field(500, ge=20, description="Minimum number of holdout rows with outcomes.")
    confidence: float = Field(
        0.9,
        gt=0.5,
        lt=1,
        description="Confidence level of the one-sided interval of the gain, for the first run on its holdout rows. Later runs "
        "against the same champion on overlapping holdouts need a higher one: see the statistics page.",
    )
    minimum_gain: float = Field(
        0.0, description="Minimum gain in the metric; the lower confidence bound must exceed it."
    )
    maximum_latency_ratio: float = Field(
        3.0,
        gt=0,
        description="Maximum latency of a call of 1 row, and of 64 rows, as a multiple of the champion's.",
    )
    maximum_size_mib: float | None = Field(
        None, gt=0, description="Maximum size of the model file in MiB. Default: reported only."
    )
    maximum_memory_mib: float | None = Field(
        None,
        gt=0,
        description="Maximum memory in MiB that the model needs to score the holdout. Default: reported only.",
    )
    minimum_agreement: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Minimum agreement with the champion: share of rows with the same decision (score of at least 0.5, or most "
        "probable label), or the correlation of values. Default: reported only.",
    )
    slices: SliceBound = SliceBound()
    robustness: Robustness = Robustness()
    calibration: Calibration = Calibration()
    fairness: Fairness | None = Field(
        None, description="Limit on the difference between groups of rows. Default: not checked."
    )
    expectations: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="JSON file of a Great Expectations suite in the project's folder, which the holdout rows must meet. Default: "
        "none.",
    )

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = write(self)
        # Manifests from before these keys keep their bytes, and so their versions' names.
        return {
            name: value
            for name, value in document.items()
            if name not in _ADDED_TO_GATE or getattr(self, name) != type(self).model_fields[name].default
        }
