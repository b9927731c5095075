"""Whether better is possible: a version that was served before loses less than the served one on the same rows. Pure.

Drift says whether the served version is worse than at its reference. A version that was promoted in a bad week is not, and may
still be improvable. The first version has a trigger of its own; that the former champion is better is told, and starts nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from services.retraining.watch.blocks import Block
from services.retraining.watch.first_evidence import FirstEvidence
from shared.contracts.manifest import short
from shared.models.losses import MetricName, in_unit

Known = Literal["first", "former"]
# Evidence is cut at this multiple of the threshold, so that a version that has recovered is not called improvable for long.
MOST_EVIDENCE = 10.0


@dataclass(frozen=True)
class Improvement:
    """A known version that has lost less than the served one since about `since`, on the same `rows` rows; losses in `metric`."""

    known: Known
    version: str
    metric: str
    loss: float
    served_loss: float
    rows: int
    since: datetime

    def to_json(self) -> dict[str, Any]:
        """For `/status` and `why`; `text` says it in words."""
        return {
            "known": self.known,
            "version": self.version,
            "metric": self.metric,
            "loss": self.loss,
            "served_loss": self.served_loss,
            "rows": self.rows,
            "since": self.since,
            "text": self.text,
        }

    @property
    def text(self) -> str:
        """One clause for a person."""
        name = "first version" if self.known == "first" else "former champion"
        return (
            f"the {name} {short(self.version)} has lost less since about {self.since:%Y-%m-%d %H:%M} UTC: {self.metric} "
            f"{self.loss:.4g} beside {self.served_loss:.4g} on the same {self.rows} rows"
        )


@dataclass(frozen=True)
class KnownVersions:
    """Whom a generation is compared with: the `first` version and the `former` champion (empty if there is no third version),
    with the evidence that the served one is worse than the latter."""

    metric: MetricName
    first: str
    former: str = ""
    evidence: FirstEvidence = field(default_factory=FirstEvidence)

    def add(self, block: Block, allowed: float, threshold: float) -> KnownVersions:
        """With one more block of the former champion's losses."""
        added, most = self.evidence.add(block, allowed), MOST_EVIDENCE * threshold
        return replace(self, evidence=replace(added, sums=tuple(min(most, one) for one in added.sums)))

    def improvements(self, of_first: FirstEvidence, threshold: float) -> tuple[Improvement, ...]:
        """Those whose evidence suffices, the one with the lowest loss first. `of_first`: the evidence about the first version."""
        known: tuple[tuple[Known, str, FirstEvidence], ...] = (
            ("first", self.first, of_first),
            ("former", self.former, self.evidence),
        )
        found = [
            self._improvement(name, version, evidence)
            for name, version, evidence in known
            if version and evidence.value >= threshold
        ]
        return tuple(sorted(found, key=lambda one: one.loss / one.served_loss if one.served_loss else 1.0))

    def to_json(self) -> dict[str, Any]:
        """For the ledger."""
        return {
            "metric": self.metric,
            "first": self.first,
            "former": self.former,
            "evidence": self.evidence.to_json(),
        }

    @classmethod
    def of_json(cls, stored: dict[str, Any]) -> KnownVersions:
        """From the ledger."""
        return cls(**{**stored, "evidence": FirstEvidence.of_json(stored["evidence"])})

    def _improvement(self, known: Known, version: str, evidence: FirstEvidence) -> Improvement:
        served_loss, loss = (in_unit(self.metric, one) for one in evidence.losses())
        blocks = evidence.since_onset
        rows = sum(block.rows for block in blocks)
        return Improvement(known, version, self.metric, loss, served_loss, rows, evidence.onset)
