"""Columns of texts of which the export knows only those in the rows, and the original may know more."""

from __future__ import annotations

from collections.abc import Sequence

from homeostat.model_export.columns import Column
from homeostat.model_export.source_model import SourceModel


def closed_texts(source: SourceModel, columns: Sequence[Column]) -> dict[str, str]:
    """A warning for each such column, by its name. If such a text were served as unknown, its score could be wrong."""
    texts = [column.source for column in columns if column.feature.type == "category"]
    return {
        name: f"a function transforms the texts of the column {name!r}. Texts that are not in the rows are refused "
        "(unknown: refuse): pass rows with every text that you want to serve"
        for name in source.listed_columns(texts)
    }
