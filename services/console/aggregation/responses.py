"""The responses of the other services: verdicts and releases as the shared contracts define them, of the rest what is shown.

A response that does not match is refused as a whole; unknown fields are ignored, so that services can be upgraded one by one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from shared.contracts.release import Release
from shared.contracts.verdict import Verdict

Contract = TypeVar("Contract", bound=BaseModel)


def _to_utc(time: datetime) -> datetime:
    return time.astimezone(UTC)


def _require_utc_offsets(record: Contract) -> Contract:
    for name, value in record:
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise ValueError(f"{name} has no UTC offset")
            value.astimezone(UTC)  # raises OverflowError near the first and the last year
    return record


Time = Annotated[AwareDatetime, AfterValidator(_to_utc)]
# Inference reports a missing time as empty text.
OptionalTime = Annotated[Time | None, BeforeValidator(lambda value: value or None)]


class Response(BaseModel):
    """A response, or a part of one."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """From JSON. Raises `pydantic.ValidationError`."""
        return cls.model_validate_json(raw, extra="ignore")


class LoadedModel(Response):
    """A model on an inference server; `version` is empty if none could be loaded."""

    name: str
    version: str = ""
    generation: int = 0
    device: str = ""
    since: OptionalTime = None
    last_error: str = ""
    last_prediction_at: OptionalTime = None


class ReleaseLogStatus(Response):
    """How an inference server reads the release log."""

    last_error: str = ""


class SpoolStatus(Response):
    """`bytes` of at most `bound` are used; `dropped` rows by kind and model."""

    bytes: int = 0
    bound: int = 0
    dropped: dict[str, dict[str, int]] = Field(default_factory=dict)
    last_error: str = ""


class InferenceStatus(Response):
    """`/status.json` of an inference server."""

    device: str = ""
    models: tuple[LoadedModel, ...] = ()
    release_log: ReleaseLogStatus = ReleaseLogStatus()
    spool: SpoolStatus = SpoolStatus()


class LogStatus(Response):
    """`/status` of the shipper or the sink."""

    last_error: str = ""


class Clock(Response):
    """How far one clock of drift is, and its state."""

    state: str = ""
    evaluated_until: OptionalTime = None
    next_window_end: OptionalTime = None
    due_at: OptionalTime = None


class Alarm(Response):
    """The last verdict of stream detection, between windows: from `window_start`, the estimated onset, to `window_end`."""

    state: str
    window_start: Time
    window_end: Time
    top_drifted_features: tuple[str, ...] = ()


class StreamStatus(Response):
    """What stream detection found last; None where it found nothing."""

    last_verdict: Alarm | None = None


class Outcomes(Response):
    """What drift knows of a model's outcomes; `summary` says it in words."""

    last_observed: OptionalTime = None
    coverage: float | None = None
    lag_seconds: float | None = None
    overdue_since: OptionalTime = None
    summary: str = ""


class MonitoredModel(Response):
    """How far drift has evaluated a model. `state`: the worst of the clocks'. A model without a loss has no performance."""

    model: str
    state: str = ""
    inputs: Clock = Clock()
    performance: Clock | None = None
    outcomes: Outcomes | None = None
    stream: StreamStatus = StreamStatus()
    error: str = ""


class DriftStatus(Response):
    """`/status` of drift."""

    ready: bool = True
    unpublished: int = 0
    models: tuple[MonitoredModel, ...] = ()


class Watch(Response):
    """How a release does beside the version before it, on the same `rows` rows."""

    state: str = ""
    generation: int = 0
    reason: str = ""
    rows: int = 0
    loss: float | None = None
    former_loss: float | None = None


class Phase(Response):
    """A challenger that is tried as canary or shadow before its promotion. `outcome`: empty while it is."""

    slot: str = ""
    version: str = ""
    run_id: str = ""
    outcome: str = ""
    reason: str = ""
    rows: int = 0
    evidence: float = 1.0
    evidence_needed: float = 20.0
    operational_evidence: float = 1.0
    operational_evidence_needed: float = 20.0
    rows_until: OptionalTime = None


class Improvement(Response):
    """A version that was served before and loses less than the served one on the same rows; `text` says it in words."""

    text: str


class Policy(Response):
    """What a policy has cost: `armed`, or the name of a shadow policy."""

    policy: str
    runs: int = 0
    total: float = 0.0
    regret: float = 0.0
    measured_rows: int = 0


class Losses(Response):
    """The loss of the first version and of the served versions, on the same newest `rows` rows with outcomes.

    `watch`: of the last release that was watched; `phase`: of the last challenger that was tried beside the live version.
    `policies`: the armed and the shadow policies.
    """

    model: str
    baseline_loss: float | None = None
    served_loss: float | None = None
    metric: str = ""
    rows: int = 0
    improvable: tuple[Improvement, ...] = ()
    watch: Watch | None = None
    phase: Phase | None = None
    policies: tuple[Policy, ...] = ()


class Delegation(Response):
    """That `delegate` approves in the place of `delegator` now; `model` is empty for all models."""

    delegator: str
    delegate: str
    model: str = ""
    ends_at: Time


class RetrainingStatus(Response):
    """`/status` of retraining. `verdicts` is the state of its consumer, `mlflow` that of MLflow tracking."""

    ready: bool = True
    leader: str = ""
    verdicts: str = ""
    mlflow: str = ""
    active_runs: tuple[Response, ...] = ()
    models: tuple[Losses, ...] = ()
    delegations: tuple[Delegation, ...] = ()


class Verdicts(Response):
    """`/verdicts` of drift, newest first."""

    verdicts: tuple[Annotated[Verdict, AfterValidator(_require_utc_offsets)], ...] = ()


class Releases(Response):
    """`/models/{model}/releases` of retraining, oldest first, and the generation that a rollback restores by default."""

    releases: tuple[Annotated[Release, AfterValidator(_require_utc_offsets)], ...] = ()
    rollback_target: int | None = None


class Acknowledgement(Response):
    """Who has seen a decision."""

    actor: str
    note: str = ""
    at: Time


class Decision(Response):
    """A decision and its cause."""

    cause_key: str
    model: str
    action: str
    reason_code: str
    reason: str
    source: str
    cause_state: str
    run_id: str
    event_time: Time
    decided_at: Time
    needs_acknowledgement: bool = False
    acknowledged: Acknowledgement | None = None

    @property
    def is_unacknowledged(self) -> bool:
        """Whether a person has yet to acknowledge it."""
        return self.needs_acknowledgement and self.acknowledged is None


class UnacknowledgedGroup(Response):
    """The `count` unacknowledged decisions of a model with one issue since the event time `since`; the newest one's reason."""

    model: str
    issue: str
    count: int = Field(ge=1)
    since: Time
    newest_key: str
    newest_at: Time
    reason: str


class Decisions(Response):
    """`/decisions` of retraining, newest first."""

    decisions: tuple[Decision, ...] = ()
    unacknowledged: tuple[UnacknowledgedGroup, ...] = ()


class GateResult(Response):
    """The result of the gate and its reason."""

    passed: bool
    reason: str = ""


class Run(Response):
    """A run; `gate` is None before it was evaluated."""

    run_id: str
    cause_key: str
    model: str
    state: str
    reason_code: str
    reason: str
    version: str
    champion: str
    gate: GateResult | None
    gate_digest: str
    event_time: Time
    created_at: Time
    state_changed_at: Time
    ended_at: Time | None
    approval_expires_at: OptionalTime = None

    @property
    def awaits_approval(self) -> bool:
        """Whether a person has to approve or reject it."""
        return self.state in ("suggested", "waiting_for_approval")


class Runs(Response):
    """`/runs` of retraining, newest first."""

    runs: tuple[Run, ...] = ()
