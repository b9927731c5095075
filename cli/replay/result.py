"""What a replay has sent and what was answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shared.errors import HomeostatError

SHOWN_REASONS = 5


@dataclass
class ReplayResult:
    """Rows and outcomes of one replay. `lost` rows were sent, and no answer came: they may have been logged."""

    model: str
    answered: int = 0
    refused: int = 0
    lost: int = 0
    outcomes: int = 0
    outcomes_refused: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    reasons: list[str] = field(default_factory=list)
    stopped_by: HomeostatError | None = None

    @property
    def rows(self) -> int:
        """Rows that were sent."""
        return self.answered + self.refused + self.lost

    @property
    def rows_per_second(self) -> float:
        """Rows that were sent, divided by the time that it took."""
        return self.rows / self.seconds if self.seconds > 0 else 0.0

    @property
    def is_complete(self) -> bool:
        """Whether everything was accepted."""
        return not (self.refused or self.lost or self.outcomes_refused)

    def add_reason(self, reason: str) -> None:
        """Keep one of the first reasons; the same one once."""
        if len(self.reasons) < SHOWN_REASONS and reason not in self.reasons:
            self.reasons.append(reason)

    def document(self) -> dict[str, Any]:
        """The result as JSON data."""
        document: dict[str, Any] = {
            "model": self.model,
            "rows": self.rows,
            "answered": self.answered,
            "refused": self.refused,
            "lost": self.lost,
            "outcomes": self.outcomes,
            "outcomes_refused": self.outcomes_refused,
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(self.rows_per_second, 1),
            "interrupted": self.interrupted,
            "reasons": self.reasons,
        }
        if self.stopped_by is not None:
            document |= {"error": self.stopped_by.message, "hint": self.stopped_by.hint}
        return document

    def text(self) -> str:
        """The result as one line."""
        parts = [f"{self.rows} rows", f"{self.answered} answered", f"{self.refused} refused"]
        if self.lost:
            parts.append(f"{self.lost} without an answer")
        parts.append(f"{self.outcomes} outcomes")
        if self.outcomes_refused:
            parts.append(f"{self.outcomes_refused} outcomes refused")
        ended = "interrupted after " if self.interrupted else ""
        return f"{self.model}: {ended}{', '.join(parts)}, {self.rows_per_second:.0f} rows per second"
