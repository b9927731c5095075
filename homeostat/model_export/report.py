"""What an export did: the files, the features, the comparison of scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from homeostat.model_export.columns import Column
from homeostat.model_export.comparison import Comparison
from homeostat.model_export.prediction_kind import PredictionKind

_SHOWN = 20


class ExportWarning(UserWarning):
    """The export is usable, but something about it is worth a look."""


@dataclass(frozen=True)
class ExportReport:
    """The result of an export; printed, it is a summary for people. `notes`: what was concluded about the model."""

    model: str
    project: Path
    library: str
    kind: PredictionKind
    columns: tuple[Column, ...]
    comparisons: tuple[Comparison, ...]
    files: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        renamed = [f"{one.source!r} is {one.name}" for one in self.columns if one.source != one.name]
        shown = ", ".join(renamed[:_SHOWN]) + (", …" if len(renamed) > _SHOWN else "")
        have = "1 feature has another name than its column"
        if len(renamed) > 1:
            have = f"{len(renamed)} features have other names than their columns"
        return "\n".join(
            [
                f"{self.model}: {self.library} model with {len(self.columns)} features; prediction of kind "
                f"{self.kind.name}",
                *(f"{have}: {shown}" for _ in renamed[:1]),
                *self.notes,
                *map(str, self.comparisons),
                f"wrote {', '.join(self.files)} to {self.project}",
            ]
        )
