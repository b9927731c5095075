"""A verdict: what drift concludes about one window of one model."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["ok", "warming_up", "drift", "data_fault", "insufficient_data"]
Signal = Literal["feature", "prediction", "performance", "data"]


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


class Verdict(_Part):
    """Published on the verdicts topic, once per window and detector."""

    verdict_id: str = Field(
        description="The cause key: computed from model, detector, version and window end, so that a window keeps it when it is "
        "evaluated again."
    )
    model: str = Field(description="Name of the model.")
    version: str = Field(description="The version whose reference the window was compared with.")
    generation: int = Field(description="Generation that answered the rows of the window.")
    detector: Literal["evaluation", "request"] = Field(
        description="`evaluation` if scheduled, `request` if requested."
    )
    window_start: datetime = Field(description="Event time, inclusive.")
    window_end: datetime = Field(description="Event time, exclusive.")
    rows: int = Field(description="Predictions in the window.")
    outcomes: int = Field(description="Rows of the window whose outcome is known.")
    state: State = Field(description="The conclusion.")
    scores: tuple[Score, ...] = Field(
        (),
        description="All scores above their threshold and all of predictions and performance, and the highest others relative to "
        "their threshold.",
    )
    top_drifted_features: tuple[str, ...] = Field(
        (), description="Features with scores above their threshold, strongest first."
    )
    drifted: tuple[Literal["feature", "prediction", "performance"], ...] = Field(
        (), description="Signals in which drift was detected."
    )
    loss: float | None = Field(None, description="Realised loss of the window, in the model's metric.")
    reference_loss: float | None = Field(None, description="Loss of the version on its reference.")
    explanation: str = Field("", description="One sentence for a person.")
    reached_at: datetime = Field(description="Time of the verdict, by drift's clock.")

    @property
    def has_own_id(self) -> bool:
        """Whether the id is the key of the verdict's content. It becomes the id of a run and the name of a folder."""
        return self.verdict_id == cause_key(self.model, self.detector, self.version, self.window_end)


def cause_key(model: str, detector: str, version: str, window_end: datetime) -> str:
    """The id of a cause: the same model, detector, reference and window end give the same key, however often it is delivered."""
    text = "\n".join((model, detector, version, window_end.astimezone(UTC).isoformat()))
    return sha256(text.encode()).hexdigest()[:32]
