"""The result of a check."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

# off: not configured here, which is no failure.
State = Literal["ok", "warning", "failure", "off"]


@dataclass(frozen=True)
class CheckResult:
    """The `state` of the thing `checked`, what was `found`, and for a failure a `hint`: the command that fixes it."""

    checked: str
    state: State
    found: str
    hint: str = ""

    def document(self) -> dict[str, str]:
        """The result as JSON."""
        return asdict(self)
