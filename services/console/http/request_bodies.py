"""Request bodies of the console's API."""

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
    """`POST /api/causes/{cause_key}/acknowledge`: one decision, or also the older ones of its issue as they were shown."""

    note: str = Field("", max_length=500)
    and_older: bool = Field(False, strict=True)
    issue: str | None = Field(None, max_length=20)
    expected_older: int | None = Field(None, ge=0)

    def of_older(self) -> dict[str, object]:
        """The fields about older decisions that are sent to retraining; empty for a single decision."""
        if not self.and_older:
            return {}
        fields = {"and_older": True, "issue": self.issue, "expected_older": self.expected_older}
        return {name: value for name, value in fields.items() if value is not None}


class Rollback(_Body):
    """`POST /api/models/{model}/rollback`: the generation to restore, and the one that must still be served."""

    reason: str = Field(min_length=1, max_length=500)
    to_generation: int = Field(ge=1)
    expected_generation: int = Field(ge=1)


Body = TypeVar("Body", bound=_Body)
