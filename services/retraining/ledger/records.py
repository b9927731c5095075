"""Immutable records returned by the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from services.retraining.policy.decision import Decision
from services.retraining.run_states import State
from shared.contracts.loop_spec import LoopSpec


@dataclass(frozen=True)
class Project:
    """A model's project folder, and the loop specification that was deployed with it."""

    model: str
    directory: str
    loop: LoopSpec
    version: str


@dataclass(frozen=True)
class Recorded:
    """The result of recording a cause. `new` is False for a repeated delivery, which changes nothing."""

    cause_key: str
    decision: Decision
    run_id: str
    new: bool


@dataclass(frozen=True)
class Run:
    """A run. `lake` and `snapshot` are set when the snapshot is taken, `version` when the model is packaged.

    `attempts` counts trainings, `step_starts` the starts of the current step that did not end: the service died in them.
    `source`, `cause_reason` and `cause_actor` are those of its cause; `reason` is the decision's, later that of the run's end.
    """

    run_id: str
    cause_key: str
    model: str
    state: State
    event_time: datetime
    change_since: datetime | None
    champion: str
    directory: str
    loop: LoopSpec
    lake: dict[str, Any] | None
    snapshot: dict[str, Any] | None
    version: str
    generation: int | None
    reason_code: str
    reason: str
    attempts: int
    step_starts: int
    seconds: dict[str, float]
    created_at: datetime
    state_changed_at: datetime
    ended_at: datetime | None
    gate: dict[str, Any] | None = field(default=None)
    gate_digest: str = ""
    source: str = ""
    cause_reason: str = ""
    cause_actor: str = ""

    @classmethod
    def of_row(cls, row: RowMapping) -> Run:
        """From a row of the table, joined with the gate's `result` and `digest`, and `source`, reason and actor of the cause."""
        values = {str(name): value for name, value in row.items()}
        values["loop"] = LoopSpec.model_validate(values["loop"])
        values["gate"] = values.pop("result", None)
        values["gate_digest"] = values.pop("digest", None) or ""
        return cls(**values)
