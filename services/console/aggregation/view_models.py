"""What the console knows at a moment: frozen facts, the same for the page and for `/status.json`. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Condition = Literal["up", "trouble", "away", "unclear"]
Act = Literal["approve", "reject", "acknowledge"]


@dataclass(frozen=True)
class ComponentHealth:
    """One part of the installation. `since`: when it stopped being up, by the console's clock; `said_at`: its last answer."""

    name: str
    condition: Condition
    sentence: str
    details: tuple[tuple[str, str], ...] = ()
    hint: str = ""
    since: datetime | None = None
    said_at: datetime | None = None
    url: str = ""
    is_core: bool = True


@dataclass(frozen=True)
class ServedModel:
    """What one inference server serves of a model. `agrees` with the release log; None where one of them is not known.

    `said_at`: when it said so, where that is not now.
    """

    server: str
    version: str
    generation: int
    since: datetime | None
    device: str
    problem: str
    agrees: bool | None
    said_at: datetime | None = None


@dataclass(frozen=True)
class Release:
    """One entry of a release log."""

    model: str
    generation: int
    version: str
    reason: str
    actor: str
    note: str
    run_id: str
    released_at: datetime | None


@dataclass(frozen=True)
class Score:
    """One measurement against its threshold; `ratio` is value ÷ threshold, None where the threshold is not above zero."""

    signal: str
    feature: str
    method: str
    value: float
    threshold: float
    exceeded: bool
    ratio: float | None


@dataclass(frozen=True)
class Verdict:
    """A verdict; `scores` are the strongest few, `scores_left_out` counts the rest."""

    verdict_id: str
    model: str
    version: str
    generation: int
    detector: str
    state: str
    window_start: datetime | None
    window_end: datetime | None
    rows: int
    outcomes: int
    scores: tuple[Score, ...]
    scores_left_out: int
    top_drifted_features: tuple[str, ...]
    loss: float | None
    reference_loss: float | None
    explanation: str
    reached_at: datetime | None


@dataclass(frozen=True)
class Decision:
    """A decision with its cause. `acknowledged_by` is empty while nobody has."""

    cause_key: str
    model: str
    verb: str
    code: str
    sentence: str
    reason: str
    source: str
    cause_state: str
    run_id: str
    event_time: datetime | None
    decided_at: datetime | None
    needs_acknowledgement: bool
    acknowledged_by: str
    acknowledged_at: datetime | None
    acknowledged_note: str


@dataclass(frozen=True)
class UnacknowledgedGroup:
    """Decisions of one model and concern that nobody has acknowledged: `count` of them since event time `since`.

    `sentence` is the newest one's, `newest_key` its cause.
    """

    model: str
    concern: str
    count: int
    since: datetime | None
    newest_key: str
    newest_at: datetime | None
    sentence: str


@dataclass(frozen=True)
class Run:
    """A run; `gate` is the gate's sentence and `gate_passed` its answer, None before it was asked."""

    run_id: str
    cause_key: str
    model: str
    state: str
    code: str
    message: str
    version: str
    champion: str
    gate: str
    gate_passed: bool | None
    gate_digest: str
    event_time: datetime | None
    created_at: datetime | None
    moved_at: datetime | None
    ended_at: datetime | None

    @property
    def waits(self) -> bool:
        """Whether it waits for a person."""
        return self.state in ("suggested", "waiting_for_approval")


@dataclass(frozen=True)
class Received:
    """When something of a model was last received, by the services' clocks; None where nobody says."""

    prediction: datetime | None = None
    outcome: datetime | None = None
    lake_row: datetime | None = None
    verdict: datetime | None = None


@dataclass(frozen=True)
class Model:
    """One model. `rollback_target` is the generation a rollback would put back, 0 where there is none.

    Both losses are in the unit of `loss_metric`, on the same newest `loss_rows` rows with outcomes. `stale` names what is as
    a service last told it (`releases`, `received`, `evidence`, `losses`), with that moment.
    """

    name: str
    released: Release | None
    servers: tuple[ServedModel, ...]
    received: Received
    frozen_loss: float | None
    served_loss: float | None
    loss_metric: str
    loss_rows: int
    evaluated_until: datetime | None
    next_window_end: datetime | None
    problem: str
    recent: tuple[Verdict, ...]
    releases: tuple[Release, ...]
    rollback_target: int
    stale: dict[str, datetime | None] = field(default_factory=dict)


@dataclass(frozen=True)
class ActionItem:
    """Something that waits for a person. `key` is stable: the same item has the same key at every look.

    A item of kind `decision` stands for `count` decisions of one model and concern; `about` is the newest one's cause.
    """

    key: str
    kind: Literal["run", "part", "decision", "model"]
    title: str
    sentence: str
    hint: str = ""
    since: datetime | None = None
    acts: tuple[Act, ...] = ()
    about: str = ""
    state: str = ""
    model: str = ""
    concern: str = ""
    count: int = 1


@dataclass(frozen=True)
class Snapshot:
    """Everything at the moment `at`. `stale` names lists that are as a service last told them, with that moment."""

    at: datetime
    parts: tuple[ComponentHealth, ...]
    models: tuple[Model, ...]
    verdicts: tuple[Verdict, ...]
    decisions: tuple[Decision, ...]
    runs: tuple[Run, ...]
    releases: tuple[Release, ...]
    needs: tuple[ActionItem, ...]
    stale: dict[str, datetime | None]

    def part(self, name: str) -> ComponentHealth | None:
        """A part by name."""
        return next((part for part in self.parts if part.name == name), None)
