"""Columns of texts of which the export knows only those in the rows, and the original may know more."""

from __future__ import annotations

from collections.abc import Sequence

from homeostat.model_export.columns import Column
from homeostat.model_export.source_model import SourceModel


def closed_texts(source: SourceModel, columns: Sequence[Column]) -> dict[str, str]:
    """A warning for each such column, by its name; served as unknown, a text that a function knows would get another score."""
    texts = [column.source for column in columns if column.feature.type == "category"]
    return {
        name: f"the texts of the column {name!r} pass a function, which may know more of them than the rows have: others are "
        "refused (unknown: refuse); pass rows with every text that is to be served"
        for name in source.listed_columns(texts)
    }
