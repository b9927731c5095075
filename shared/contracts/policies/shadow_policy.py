"""`shadow_policies` in `loop.yaml`: policies that are decided and logged beside the armed one, and start nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from shared.contracts.duration import Duration
from shared.contracts.feature import Section
from shared.contracts.retraining_spec import Budget, Retraining, TrainingWindow, Trigger

MAX_POLICIES = 8
ARMED = "armed"


class ShadowRetraining(Section):
    """Keys of `retraining` that differ from the armed policy; those that are left out are the same."""

    triggers: tuple[Trigger, ...] | None = Field(None, description="As in `retraining`.")
    cooldown: Duration | None = Field(None, description="As in `retraining`.")
    budget: Budget | None = Field(None, description="As in `retraining`.")
    window: TrainingWindow | None = Field(None, description="As in `retraining`.")
    minimum_rows: int | None = Field(None, ge=50, description="As in `retraining`.")

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = write(self)
        return {name: value for name, value in document.items() if value is not None}


class ShadowPolicy(Section):
    """A policy that is decided on every cause beside the armed one. What it would have started is in the ledger."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$",
        description="Name of the policy, in ledger, console and metrics.",
    )
    retraining: ShadowRetraining = Field(
        description="Keys of `retraining` that differ from the armed policy: `triggers`, `cooldown`, `budget`, `window` or "
        "`minimum_rows`."
    )


def check_shadow_policies(policies: Sequence[ShadowPolicy], armed: Retraining | None) -> None:
    """Raises ValueError for a policy without an armed one beside it, a name that is there twice or taken, and too many."""
    if policies and armed is None:
        raise ValueError("shadow_policies needs `retraining`, the armed policy")
    if len(policies) > MAX_POLICIES:
        raise ValueError(
            f"shadow_policies has {len(policies)} entries; at most {MAX_POLICIES} are decided on"
        )
    names = [ARMED, *(policy.name for policy in policies)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(
            f"shadow_policies names {twice} twice"
            if twice != ARMED
            else f"{ARMED} is the policy of `retraining`; choose another name"
        )


def retraining_of(policy: ShadowPolicy, armed: Retraining) -> Retraining:
    """The whole policy: its own keys, and those of the armed one that it does not give."""
    given = {
        name: value
        for name in ShadowRetraining.model_fields
        if (value := getattr(policy.retraining, name)) is not None
    }
    return armed.model_copy(update=given)
