"""Releases that are not in any log."""

from __future__ import annotations

from shared.contracts.release import Release


def release_of(model: str, generation: int, version: str = "a") -> Release:
    return Release.model_validate(
        {
            "model": model,
            "generation": generation,
            "version": version,
            "reason": "promotion",
            "actor": "loop",
            "released_at": "2026-01-01T00:00:00Z",
        }
    )
