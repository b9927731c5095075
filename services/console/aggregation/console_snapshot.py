"""What the console knows at a moment: the same data for the page and for `/status.json`. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from services.console.aggregation.responses import (
    Alarm,
    Clock,
    Decision,
    Delegation,
    Outcomes,
    Phase,
    Policy,
    Run,
    Watch,
)
from shared.contracts.release import Release, slots
from shared.contracts.verdict import Verdict

# `unknown`: the component returns invalid responses, or no client of it responds.
Condition = Literal["up", "degraded", "unreachable", "unknown", "refused"]
Action = Literal["approve", "reject", "acknowledge"]


@dataclass(frozen=True)
class Stale:
    """Why data is not current, and the time of the last good response; None if there is no data."""

    problem: str
    at: datetime | None


@dataclass(frozen=True)
class ComponentHealth:
    """The health of one component. `since`: when it stopped being up; `responded_at`: its last response."""

    name: str
    condition: Condition
    sentence: str
    details: tuple[tuple[str, str], ...] = ()
    hint: str = ""
    since: datetime | None = None
    responded_at: datetime | None = None
    url: str = ""
    is_core: bool = True


@dataclass(frozen=True)
class ServedModel:
    """What one inference server serves of a model. `agrees` with the release log; None if one of them is not known.

    `responded_at` is set if the data is not current.
    """

    server: str
    version: str
    generation: int
    since: datetime | None
    device: str
    problem: str
    agrees: bool | None
    responded_at: datetime | None = None


@dataclass(frozen=True)
class LastReceived:
    """When something of a model was last received, by the services' clocks; None if not known."""

    prediction: datetime | None = None
    outcome: datetime | None = None
    lake_row: datetime | None = None
    verdict: datetime | None = None


@dataclass(frozen=True)
class Model:
    """One model. `rollback_target` is the generation that a rollback restores by default, 0 if there is none.

    `state` is the worst of `inputs` and `performance`; a model without a loss has no performance and no outcomes. `alarm` is the
    last verdict of stream detection, between windows.
    `watch` compares the last watched release with the version before it, `phase` the last challenger with the live version.
    `improvable`: which earlier versions lose less than the served one on the same rows.
    `policies`: what the armed and the shadow policies have cost.
    Both losses are in the unit of `loss_metric`, on the same newest `loss_rows` rows with outcomes. `stale` has the data that is
    not current: `releases`, `received`, `verdicts`, `losses`.
    """

    name: str
    released: Release | None
    servers: tuple[ServedModel, ...]
    received: LastReceived
    baseline_loss: float | None
    served_loss: float | None
    loss_metric: str
    loss_rows: int
    state: str
    inputs: Clock
    performance: Clock | None
    outcomes: Outcomes | None
    alarm: Alarm | None
    problem: str
    recent: tuple[Verdict, ...]
    releases: tuple[Release, ...]
    rollback_target: int
    improvable: tuple[str, ...] = ()
    watch: Watch | None = None
    phase: Phase | None = None
    policies: tuple[Policy, ...] = ()
    stale: dict[str, Stale] = field(default_factory=dict)

    @property
    def side_releases(self) -> tuple[Release, ...]:
        """The canary and the shadow that the release log has beside the live version."""
        return tuple(release for slot, release in slots(self.releases).items() if slot != "live")


@dataclass(frozen=True)
class ActionItem:
    """Something that a person has to act on. `key` is the same in every snapshot.

    An item of kind `decision` stands for `count` decisions of one model and issue; `about` is the cause of the newest.
    """

    key: str
    kind: Literal["run", "component", "decision", "model"]
    title: str
    sentence: str
    hint: str = ""
    since: datetime | None = None
    actions: tuple[Action, ...] = ()
    about: str = ""
    state: str = ""
    gate_digest: str = ""
    model: str = ""
    issue: str = ""
    count: int = 1


@dataclass(frozen=True)
class ConsoleSnapshot:
    """Everything at the time `at`. `stale` has the lists that are not current; `delegations` are those that hold now."""

    at: datetime
    components: tuple[ComponentHealth, ...]
    models: tuple[Model, ...]
    verdicts: tuple[Verdict, ...]
    decisions: tuple[Decision, ...]
    runs: tuple[Run, ...]
    releases: tuple[Release, ...]
    action_items: tuple[ActionItem, ...]
    stale: dict[str, Stale]
    delegations: tuple[Delegation, ...] = ()

    def delegations_to(self, name: str) -> tuple[Delegation, ...]:
        """Those by which somebody of that name approves."""
        return tuple(one for one in self.delegations if one.delegate == name)

    def component(self, name: str) -> ComponentHealth | None:
        """A component by name."""
        return next((component for component in self.components if component.name == name), None)
