"""A cause: one event that may start a retraining. Its key identifies the event, not the delivery."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal

from shared.contracts.verdict import Verdict

Source = Literal["verdict", "alert", "request", "comparison", "schedule"]
UNCLEAR = ""


@dataclass(frozen=True)
class Cause:
    """An event for the policy to decide on. Deliveries with the same `key` are the same cause, whatever their number and channel.

    `source` is its origin: drift (`verdict`), a monitoring system (`alert`), a person (`request`), the `comparison` of the
    served version with the first one, which says in `change_since` since when the version has been worse, or a `schedule` that
    was due without a verdict.
    `resolved` marks the end of an alert: it is recorded and starts nothing. `about` is the id of the verdict that an alert
    names; None if it names none, UNCLEAR if the id is not valid. `about_version` and `about_state` are the version and state
    of that verdict according to the alert's annotations, empty if it has none; `about_version` of a comparison is the served one.
    """

    key: str
    model: str
    source: Source
    reason: str
    actor: str = "loop"
    verdict: Verdict | None = None
    event_time: datetime | None = None
    resolved: bool = False
    about: str | None = None
    about_version: str = ""
    about_state: str = ""
    change_since: datetime | None = None

    @classmethod
    def of_verdict(cls, verdict: Verdict) -> Cause:
        """The cause for a verdict; its key is the verdict's id."""
        return cls(
            key=verdict.verdict_id,
            model=verdict.model,
            source="verdict",
            reason=verdict.explanation or f"verdict {verdict.state}",
            actor="drift",
            verdict=verdict,
            event_time=verdict.window_end,
        )


def external_key(model: str, *components: str) -> str:
    """The key of an alert or request: a digest, so that any text gives a safe file name."""
    return sha256("\n".join((model, *components)).encode()).hexdigest()[:32]
