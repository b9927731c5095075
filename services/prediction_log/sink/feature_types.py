"""The types of the features' columns in a table, and rows of other types: widened, moved to a column of their own, or refused."""

from __future__ import annotations

import pyarrow as pa

from shared.contracts.lake_schema import FEATURE_PREFIX, feature_of, storing_column


def features_of(schema: pa.Schema) -> list[tuple[str, pa.DataType]]:
    """The columns of features, with their types."""
    return [(field.name, field.type) for field in schema if field.name.startswith(FEATURE_PREFIX)]


def fit(batch: pa.RecordBatch, known: dict[str, pa.DataType]) -> pa.Table | str:
    """The rows with each feature in the column that stores its type, or why a column does not take them."""
    rows = pa.Table.from_batches([batch])
    for name, kind in features_of(rows.schema):
        column = storing_column(known, feature_of(name), kind)
        wanted = known.get(column, kind)
        if (column, wanted) == (name, kind):
            continue
        try:
            place = rows.schema.get_field_index(name)
            rows = rows.set_column(place, pa.field(column, wanted), rows[name].cast(wanted))
        except pa.ArrowException as error:
            return f"feature column {name} has type {kind}, the lake's has {wanted}: {error}"
    return rows
