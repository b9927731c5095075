"""A release: one entry of a model's release log. Its number, the generation, says what is served now."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Release(BaseModel):
    """`releases/000042.json`; written once, never changed. The highest generation is what is served."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(description="Name of the model.")
    generation: int = Field(ge=1, description="Number of the entry, from 1 without gaps.")
    version: str = Field(description="The version served from now on.")
    previous: str = Field("", description="The version served before; empty for the first release.")
    reason: Literal["deployment", "promotion", "rollback"] = Field(description="Why it was released.")
    actor: str = Field(description="Name of the person who released it, or `loop`.")
    run_id: str = Field("", description="The run that produced the version; empty if none did.")
    cause_key: str = Field("", description="The cause of that run.")
    note: str = Field("", description="The actor's note.")
    released_at: datetime = Field(
        description="Time of the release, by the clock of the process that wrote it."
    )
    previous_entry: str = Field(
        "", description="SHA-256 of the file of the entry before; empty in the first entry."
    )
    signature: str = Field(
        "", description="Signature of the other fields with the installation's key; base64."
    )
