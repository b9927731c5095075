"""The bodies that the console's own API takes."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    actor: str = Field("", max_length=200)


class Answer(_Body):
    """`POST /api/runs/{run_id}/approve` and `…/reject`: the run as it was shown."""

    state: str = Field(pattern=r"^(suggested|waiting_for_approval)$")
    gate_digest: str = Field("", max_length=200)


class Acknowledgement(_Body):
    """`POST /api/causes/{cause_key}/acknowledge`: one decision, or with it the older ones of its concern as they were shown."""

    note: str = Field("", max_length=500)
    and_older: bool = Field(False, strict=True)
    concern: str | None = Field(None, max_length=20)
    expected_older: int | None = Field(None, ge=0)

    def of_older(self) -> dict[str, object]:
        """What retraining is told about older ones; empty where it is one decision only."""
        if not self.and_older:
            return {}
        told = {"and_older": True, "concern": self.concern, "expected_older": self.expected_older}
        return {name: value for name, value in told.items() if value is not None}


class Rollback(_Body):
    """`POST /api/models/{model}/rollback`: what comes back, and what must still be served."""

    reason: str = Field(min_length=1, max_length=500)
    to_generation: int = Field(ge=1)
    expected_generation: int = Field(ge=1)


Asked = TypeVar("Asked", bound=_Body)
