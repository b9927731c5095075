"""Request bodies of retraining's API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from services.retraining.policy.attention import Issue
from services.retraining.rollout.releaser import SideSlot
from shared.contracts.loop_spec import MODEL_NAME
from shared.contracts.release import Slot


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Deployment(_Body):
    """`POST /models/{model}/deployments`."""

    version: str = Field(pattern=r"^[0-9a-f]{64}$")
    project_directory: str = ""
    force: str = Field("", max_length=500)
    actor: str = Field("", max_length=100)
    slot: Slot = "live"
    share: float = Field(1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _live_has_all(self) -> Deployment:
        if self.slot == "live" and self.share != 1:
            raise ValueError("only a canary or shadow has a share")
        return self


class PolicyBody(_Body):
    """`POST /models/{model}/what-if`: what a policy file has. `with_policy` refuses other keys, and says which there are."""

    model_config = ConfigDict(extra="allow")

    retraining: dict[str, Any] = Field(default_factory=dict)
    costs: dict[str, Any] = Field(default_factory=dict)


class Rollback(_Body):
    """`POST /models/{model}/rollback`."""

    actor: str = Field("", max_length=100)
    reason: str = Field("", max_length=500)
    to_generation: int | None = Field(None, ge=1)
    expected_generation: int | None = Field(None, ge=1)
    slot: SideSlot | None = None

    @model_validator(mode="after")
    def _one_target(self) -> Rollback:
        if self.slot is not None and self.to_generation is not None:
            raise ValueError("a withdrawal of `slot` has no `to_generation`")
        return self


class Answer(_Body):
    """`POST /runs/{run_id}/approve` and `…/reject`."""

    actor: str = Field("", max_length=100)


class NewDelegation(_Body):
    """`POST /delegations`. `until` has an offset from UTC; an empty `model` stands for all models."""

    delegate: str = Field(min_length=1, max_length=100)
    until: AwareDatetime
    model: str = Field("", pattern=rf"^$|{MODEL_NAME}")
    note: str = Field("", max_length=500)
    actor: str = Field("", max_length=100)


class Revocation(_Body):
    """`POST /delegations/{number}/revoke`."""

    actor: str = Field("", max_length=100)


class Acknowledgement(_Body):
    """`POST /causes/{key}/acknowledge`."""

    actor: str = Field("", max_length=100)
    note: str = Field("", max_length=500)
    and_older: bool = Field(False, strict=True)
    issue: Issue | None = None
    expected_older: int | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _check_older(self) -> Acknowledgement:
        if not self.and_older and (self.issue is not None or self.expected_older is not None):
            raise ValueError("issue and expected_older select older decisions: set and_older")
        return self


class Trigger(_Body):
    """`POST /triggers`: a request for a retraining; `services/retraining/triggers/webhooks.py` reads it."""

    model: str = Field(pattern=MODEL_NAME)
    reason: str = Field(min_length=1, max_length=500)
    key: str = Field("", max_length=500)
    actor: str = Field("", max_length=500)
    event_time: datetime | None = None


class Alerts(BaseModel):
    """`POST /triggers`: the webhook body of Alertmanager or Grafana."""

    alerts: list[dict[str, Any]] = Field(min_length=1)
