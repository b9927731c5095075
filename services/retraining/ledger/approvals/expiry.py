"""When a run has waited too long for a person. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from services.retraining.ledger.records import Run
from services.retraining.run_states import WAITING
from shared.contracts.duration import duration_text

APPROVAL_EXPIRED: Final = "approval_expired"


def expires_at(run: Run) -> datetime | None:
    """Until when a run waits for an answer, by the clock; None if it does not wait, or waits until somebody answers."""
    performance = run.loop.performance
    timeout = performance.retraining.approval_timeout if performance else None
    if run.state not in WAITING or timeout is None:
        return None
    return run.state_changed_at + timeout


def is_expired(run: Run, now: datetime) -> bool:
    """Whether the time for an answer is over."""
    until = expires_at(run)
    return until is not None and now >= until


def expiry_reason(run: Run) -> str:
    """Why an expired run ends."""
    timeout = run.loop.require_performance().retraining.approval_timeout
    what = "start" if run.state == "suggested" else "promotion"
    return f"nobody approved its {what} within {duration_text(timeout) if timeout else ''}"
