"""One condition of the gate and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    """One condition of the gate and its result."""

    name: str
    passed: bool
    reason: str


@dataclass(frozen=True)
class Measured:
    """A check with the numbers that it was decided from, as JSON, for people to read. None: nothing to decide, reported only."""

    name: str
    check: Check | None
    numbers: Mapping[str, Any]
