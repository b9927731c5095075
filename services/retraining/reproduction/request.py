"""What `homeostat reproduce` asks for."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class ReproductionRequest(BaseModel):
    """`version`: at least its first 8 characters. `train`: train again. `into`: folder that receives the rows, if any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(min_length=8, pattern=r"^[0-9a-f]+$")
    train: bool = False
    into: Path | None = None
