"""A subject: the values that its rows have in the column of the key or of a personal feature. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.feature import Feature
from shared.contracts.lake_schema import FEATURE_PREFIX, KEY, feature_of, stored_type


@dataclass(frozen=True)
class Subject:
    """`values`: the subject's id, and its pseudonyms under every secret."""

    values: tuple[str, ...] = field(repr=False)

    def is_in(self, column: pa.Array | pa.ChunkedArray) -> pa.Array:
        """Of each value, whether it is one of the subject's; false for null. What is no text only has to contain one."""
        flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        try:
            texts = flat.cast(pa.string())
        except pa.ArrowException:
            shown = map(str, flat.to_pylist())
            return pa.array([any(value in text for value in self.values) for text in shown], pa.bool_())
        return pc.is_in(texts, value_set=pa.array(self.values, pa.string()))

    def rows_of(self, rows: pa.Table | pa.RecordBatch, columns: Sequence[str]) -> pa.Array:
        """Of each row, whether it is one of the subject's by one of these columns."""
        found = pa.repeat(pa.scalar(False), rows.num_rows)
        for name in columns:
            found = pc.or_(found, self.is_in(rows[name]))
        return found


def personal_names(features: Iterable[Feature]) -> frozenset[str]:
    """Names of the personal features, in lower case: the lake does not distinguish them by case."""
    return frozenset(feature.name.casefold() for feature in features if feature.personal)


def lake_columns_of(schema: pa.Schema, personal: frozenset[str]) -> list[str]:
    """The columns of predictions that can name a subject: the key, and the texts of personal features."""
    return [
        one.name
        for one in schema
        if one.name == KEY
        or (
            one.name.startswith(FEATURE_PREFIX)
            and feature_of(one.name).casefold() in personal
            and stored_type(one.type) == "text"
        )
    ]


def file_columns_of(schema: pa.Schema, personal: frozenset[str]) -> list[str]:
    """The same for a file of training or reference rows, whose columns have the features' own names."""
    return [one.name for one in schema if one.name.casefold() in personal and stored_type(one.type) == "text"]
