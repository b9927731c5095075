"""A cause: one reason to think about retraining, named by what caused it and never by how it was delivered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal

from shared.contracts.verdict import Verdict

Source = Literal["verdict", "alert", "request"]
UNCLEAR = ""


@dataclass(frozen=True)
class Cause:
    """What policy is asked about. The same `key` is the same cause, however often and by whichever door it comes.

    `source` says who speaks: drift (`verdict`), a monitoring system (`alert`), or a person (`request`).
    `resolved` marks an alert's all-clear: it is recorded and never acts. `about` is the id of the verdict an alert
    speaks of; None where it speaks of none, UNCLEAR where it names what cannot be one. `about_version` and `about_state` are
    what that verdict says, as far as the alert tells: empty where it does not.
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

    @classmethod
    def of_verdict(cls, verdict: Verdict) -> Cause:
        """The cause a verdict is; its key is the verdict's own id."""
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
    """The key of a cause that came through a door of ours: a digest, so that any text makes a safe file name."""
    return sha256("\n".join((model, *components)).encode()).hexdigest()[:32]
