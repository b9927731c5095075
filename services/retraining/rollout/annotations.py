"""A release as a mark on the boards: sent once, by the process that made it, and waited for by nobody."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from shared.contracts.manifest import short
from shared.contracts.release import Release


class Marks(Protocol):
    """Takes annotations, at once and whatever becomes of them."""

    def annotate(self, text: str, tags: Sequence[str], at: datetime | None = None) -> None:
        """Have `text` marked at `at` with `tags`; never blocks, never raises."""

    def close(self, timeout_s: float = ...) -> None:
        """End it."""


def announce(marks: Marks, done: Release) -> None:
    """Mark a release, or a rollback, where it was made in time."""
    kind = "rollback" if done.reason == "rollback" else "release"
    told = f"{done.model}: generation {done.generation} is version {short(done.version)}, {done.reason} by {done.actor}"
    marks.annotate(
        f"{told}: {done.note}" if done.note else told,
        ("homeostat", kind, f"model:{done.model}"),
        done.released_at,
    )
