"""The interface of a fitted model, whatever its library."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

import onnx
import pandas as pd

from homeostat.model_export.columns import Column
from homeostat.model_export.prediction_kind import Floats, PredictionKind
from shared.contracts.version_files.names import ARCHIVE, MODEL

# A model of ONNX, or the archive of a program of torch.export.
Converted: TypeAlias = "onnx.ModelProto | bytes"


def file_of(model: Converted) -> tuple[str, bytes]:
    """The name of its file in a version, and its bytes."""
    return (ARCHIVE, model) if isinstance(model, bytes) else (MODEL, model.SerializeToString())


class SourceModel(Protocol):
    """A fitted model."""

    @property
    def library(self) -> str:
        """The library's name, for messages."""
        ...

    @property
    def kind(self) -> PredictionKind:
        """What it predicts."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What was concluded about the model, for the report."""
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """What the owner must know about the exported model; each becomes an ExportWarning."""
        ...

    @property
    def classes(self) -> Sequence[Any]:
        """A classifier's classes; empty for a regression."""
        ...

    def column_names(self, rows: pd.DataFrame, candidates: Sequence[str]) -> Sequence[str]:
        """The columns it was fitted with, in order; `candidates` if it does not know."""
        ...

    def text_columns(self, names: Sequence[str]) -> Collection[str]:
        """Those of the columns that it reads as running text, not as categories."""
        ...

    def listed_columns(self, names: Sequence[str]) -> Collection[str]:
        """Those of the columns of which it may know texts that the rows lack, without a list of them."""
        ...

    def score(self, rows: pd.DataFrame) -> Floats:
        """The original's scores, float64 [N]; of several classes [N, classes]. Raises whatever the library raises."""
        ...

    def conversions(self, columns: Sequence[Column], rows: pd.DataFrame) -> Iterator[Converted]:
        """Models with one input per feature and one output, the preferred one first. Raises ExportRefused."""
        ...
