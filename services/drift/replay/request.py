"""What a replay is asked for: the contract between `homeostat drift replay` and its process."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from services.drift.replay.past import Interval
from shared.contracts.loop_spec import LoopSpec


class ReplayRequest(BaseModel):
    """Without `rows`, what the model has logged; with them, the rows of that file against `reference`, or the live version's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(description="Name of the model.")
    loop: LoopSpec | None = Field(None, description="loop.yaml to replay. Default: that of each version.")
    rows: Path | None = Field(None, description="File of rows.")
    reference: Path | None = Field(None, description="File of reference rows, together with `rows`.")
    false_alarms: float | None = Field(None, gt=0, description="Replaces drift.false_alarms_per_30_days.")
    start: datetime | None = Field(None, description="Event time at which the first window starts.")
    end: datetime | None = Field(None, description="Event time at which the past ends.")
    change_at: datetime | None = Field(None, description="Event time of a known change.")
    stream: bool = Field(True, description="Whether stream detectors are replayed.")
    plot: Path | None = Field(None, description="File to write the plot to, .html or .svg.")

    @property
    def interval(self) -> Interval:
        """The event time to replay."""
        return Interval(self.start, self.end)
