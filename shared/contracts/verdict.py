"""A verdict: what drift concludes about one window of one model."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

State = Literal["ok", "warming_up", "drift", "data_fault", "insufficient_data"]
DriftKind = Literal["feature", "prediction", "estimated_performance", "performance"]
Signal = Literal["feature", "prediction", "estimated_performance", "performance", "data"]
Clock = Literal["inputs", "performance"]
Detector = Literal[Clock, "stream", "request"]
# The two clocks: each judges every window once. Their windows cover event time without overlap.
SCHEDULED: tuple[Clock, ...] = ("inputs", "performance")


class _Part(BaseModel):
    # JSON has no infinity: such a number would be stored as null and never be read again.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Score(_Part):
    """One measurement against its threshold. `exceeded` is true if it is above."""

    signal: Signal = Field(description="Kind of signal.")
    feature: str = Field("", description="The feature; empty if the signal is not about a single feature.")
    method: str = Field(
        description="Name of the method, e.g. wasserstein, jensenshannon, missing_share, log_loss."
    )
    value: float = Field(description="The measurement, in the method's unit.")
    threshold: float = Field(description="The limit, in the same unit.")
    exceeded: bool = Field(description="Whether the value is above the threshold.")
    slice: str = Field(
        "", description="The slice of loop.yaml whose rows were measured; empty for all rows of the window."
    )

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = write(self)
        # Readers from before this key refuse it.
        if not self.slice:
            document.pop("slice", None)
        return document


class MetricValue(_Part):
    """One of `metrics` of loop.yaml, or the loss of a slice, in a window."""

    name: str = Field(description="The metric, e.g. auc.")
    slice: str = Field("", description="The slice; empty for all rows of the window.")
    value: float | None = Field(
        description="The metric over the rows with an outcome. null where they are too few, or it is not defined for them."
    )
    reference: float | None = Field(None, description="The same over the rows of the reference's loss.")
    outcomes: int = Field(description="Rows with an answer and an outcome.")


class FoundSlice(_Part):
    """The part of a window's rows that most of its drift comes from, found in one half of the rows and confirmed in the other."""

    signal: Literal["performance", "feature"] = Field(
        description="`performance`: the loss has risen more in it than in the other rows. `feature`: its share of rows has grown."
    )
    where: str = Field(
        description="Its condition, as `slices` of loop.yaml states it, of at most two parts, such as `distance > 1000 and "
        'origin == "EWR"`.'
    )
    share: float = Field(ge=0, le=1, description="Share of the window's rows.")
    reference_share: float = Field(ge=0, le=1, description="Share of the reference's rows.")
    share_of_change: float | None = Field(
        None, description="Of `performance`: share of the rise of the loss that is in it; null otherwise."
    )
    value: float | None = Field(None, description="Its loss in the window, of `performance`.")
    reference: float | None = Field(None, description="Its loss in the reference, of `performance`.")


class Verdict(_Part):
    """Published on the verdicts topic, once per window and detector; again with a higher `revision` if its conclusion changed."""

    verdict_id: str = Field(
        description="The cause key: computed from model, detector, version and window end, so that a window keeps it when it is "
        "evaluated again."
    )
    model: str = Field(description="Name of the model.")
    version: str = Field(description="The version whose reference the window was compared with.")
    generation: int = Field(description="Generation that answered the rows of the window.")
    revision: int = Field(
        1,
        ge=1,
        description="1, or higher if outcomes that were late or corrected changed the conclusion. The verdict_id stays the same; "
        "the highest revision counts.",
    )
    detector: Detector = Field(
        description="`inputs`: features, predictions and data quality of a window, when it closes. `performance`: its loss, when "
        "its outcomes are due. `stream`: an alarm between windows, or the evidence of many windows that the loss has risen. "
        "`request`: everything at once, for a person."
    )
    window_start: datetime = Field(description="Event time, inclusive.")
    window_end: datetime = Field(description="Event time, exclusive.")
    rows: int = Field(description="Predictions in the window.")
    outcomes: int = Field(
        description="Rows of the window whose outcome is known. 0 for a detector that reads no outcomes."
    )
    coverage: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Share of the window's rows whose outcome is known. null where no outcomes were read.",
    )
    outcome_lag_seconds: float | None = Field(
        None,
        description="Median time from the event to the observation of its outcome, over the outcomes of the window, in seconds.",
    )
    state: State = Field(description="The conclusion.")
    scores: tuple[Score, ...] = Field(
        (),
        description="All scores above their threshold and all of predictions and performance, and the highest others relative to "
        "their threshold.",
    )
    top_drifted_features: tuple[str, ...] = Field(
        (), description="Features with scores above their threshold, strongest first."
    )
    drifted: tuple[DriftKind, ...] = Field((), description="Signals in which drift was detected.")
    loss: float | None = Field(None, description="Realised loss of the window, in the model's metric.")
    estimated_loss: float | None = Field(
        None,
        description="Loss of the window as estimated from inputs and answers, without outcomes; blind to a changed concept.",
    )
    estimated_auc: float | None = Field(
        None, description="Area under the ROC curve of a probability, estimated in the same way."
    )
    metrics: tuple[MetricValue, ...] = Field(
        (),
        description="`metrics` and `custom_metrics` of loop.yaml; loss and metrics of slices. The state does not depend on them.",
    )
    found_slices: tuple[FoundSlice, ...] = Field(
        (),
        description="Of a verdict `drift` on a window: where most of it is. Empty where it is spread over all rows.",
    )
    reference_loss: float | None = Field(None, description="Loss of the version on its reference.")
    onset: datetime | None = Field(
        None, description="Estimated event time at which the change began. null where it was not estimated."
    )
    explanation: str = Field("", description="One sentence for a person.")
    reached_at: datetime = Field(description="Time of the verdict, by drift's clock.")

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = write(self)
        # Readers from before these keys refuse them.
        for key in ("metrics", "found_slices"):
            if not document[key]:
                document.pop(key)
        return document

    @property
    def has_own_id(self) -> bool:
        """Whether the id is the key of the verdict's content. It becomes the id of a run and the name of a folder."""
        return self.verdict_id == cause_key(self.model, self.detector, self.version, self.window_end)


def cause_key(model: str, detector: str, version: str, window_end: datetime) -> str:
    """The id of a cause: the same model, detector, reference and window end give the same key, however often it is delivered."""
    text = "\n".join((model, detector, version, window_end.astimezone(UTC).isoformat()))
    return sha256(text.encode()).hexdigest()[:32]
