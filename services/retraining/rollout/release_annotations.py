"""Grafana annotations of releases: queued once, by the process that made the release."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from shared.contracts.manifest import short
from shared.contracts.release import Release


class Annotator(Protocol):
    """Takes annotations for Grafana; see shared/grafana/annotator.py."""

    def annotate(self, text: str, tags: Sequence[str], at: datetime | None = None) -> None:
        """Queue an annotation; never blocks, never raises."""

    def close(self, timeout_s: float = ...) -> None:
        """Stop, after at most `timeout_s`."""


def announce(annotator: Annotator, done: Release) -> None:
    """Queue an annotation for a release or rollback at its time."""
    kind = "rollback" if done.reason == "rollback" else "release"
    text = f"{done.model}: generation {done.generation} is version {short(done.version)}, {done.reason} by {done.actor}"
    annotator.annotate(
        f"{text}: {done.note}" if done.note else text,
        ("homeostat", kind, f"model:{done.model}"),
        done.released_at,
    )
