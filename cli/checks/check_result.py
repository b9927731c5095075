"""What a check found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

# off: a part that is not set up here, which is no failure.
State = Literal["ok", "warning", "failure", "off"]


@dataclass(frozen=True)
class Finding:
    """What a check found: `state`, the thing `checked`, what was `found`, and the `hint` of a failure."""

    checked: str
    state: State
    found: str
    hint: str = ""

    def document(self) -> dict[str, str]:
        """The finding for programs."""
        return asdict(self)
