"""Outcomes that were added to a model's table after one of its versions: only the files written since then are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from shared.stores.lake import Lake
from shared.stores.lake_errors import raises_dependency_unavailable
from shared.stores.tables.lake_table import LakeTable

# Merging of small files, and setting rows aside: rows are moved, none is added.
_MOVES = ("OPTIMIZE", "UPDATE")
_DELETION = "DELETE"


@raises_dependency_unavailable
def outcome_ids_since(lake: Lake, model: str, version: int) -> pa.ChunkedArray | None:
    """The prediction id of each outcome that was added after `version` of the table (-1: of all), repeats included.

    None where the log or the files of that version are no longer kept, rows were deleted, or the table was made anew.
    """
    location = lake.outcomes(model)
    table = lake.open(location)
    ids: list[pa.Array] = []
    if table is not None and table.version() < version:
        return None
    if table is not None and table.version() > version:
        try:
            operations = _operations(table, version)
            if _DELETION in operations.values():
                return None
            for before, after in _additions(operations, version, table.version()):
                known = set() if before < 0 else _paths(LakeTable(location, version=before))
                ids += _ids_of_other_files(LakeTable(location, version=after), known)
        except (DeltaError, FileNotFoundError):
            return None
    return pa.chunked_array(ids, pa.string())


def _operations(table: DeltaTable, version: int) -> dict[int, str]:
    """What made each version after `version`."""
    changes = table.history(table.version() - version)
    return {int(entry["version"]): str(entry["operation"]) for entry in changes}


def _additions(operations: Mapping[int, str], version: int, newest: int) -> Iterator[tuple[int, int]]:
    """Pairs of versions (before, after) between which rows were added; compactions lie between the pairs."""
    before = version
    for each in range(version + 1, newest + 1):
        if operations.get(each) in _MOVES:
            if before < each - 1:
                yield before, each - 1
            before = each
    if before < newest:
        yield before, newest


def _paths(table: DeltaTable) -> set[str]:
    return set(pa.table(table.get_add_actions(flatten=True))["path"].to_pylist())


def _ids_of_other_files(table: DeltaTable, known: set[str]) -> list[pa.Array]:
    dataset = table.to_pyarrow_dataset()
    return [
        chunk.cast(pa.string())
        for fragment in dataset.get_fragments()
        if fragment.path not in known
        for chunk in fragment.to_table(columns=["prediction_id"])["prediction_id"].chunks
    ]
