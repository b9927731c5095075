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


def announce(annotator: Annotator, done: Release, gate_url: str = "") -> None:
    """Queue an annotation for an entry of the release log at its time. `gate_url`: the page of the gate result behind it."""
    kind = done.reason if done.reason in ("rollback", "withdrawal") else "release"
    text = f"{done.model}: generation {done.generation} {_what(done)} by {done.actor}"
    if done.note:
        text = f"{text}: {done.note}"
    annotator.annotate(
        f"{text} ({gate_url})" if gate_url else text,
        ("homeostat", kind, f"model:{done.model}"),
        done.released_at,
    )


def _what(done: Release) -> str:
    if done.slot == "live":
        return f"is version {short(done.version)}, {done.reason}"
    if done.reason == "withdrawal":
        return f"ends the {done.slot} of version {short(done.version)}, withdrawn"
    return f"is a {done.slot} of version {short(done.version)} with {done.share:.1%} of the requests, started"
