"""Cells of a category: the most frequent values of the reference, the others together, and values that it lacks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from services.drift.stream.tiles import CELLS, MISSING, NEW, OTHER, Counts

# A cell of its own for a value that the reference has at least this often.
MINIMUM_COUNT = 5


@dataclass(frozen=True, eq=False)
class CategoryCells:
    """`known[i]` has the cell `places[i]`; a value beyond `known` is new."""

    known: pa.Array
    places: npt.NDArray[np.uint8]
    bins: int

    def cells(self, values: pa.Array) -> npt.NDArray[np.uint8]:
        """The cell of each value; null is missing.

        >>> cells = category_cells(pa.array(["a"] * 9 + ["b"] * 5 + ["c"]))
        >>> cells.cells(pa.array(["a", "b", "c", "d", None])).tolist()
        [0, 1, 63, 68, 66]
        """
        places: npt.NDArray[np.uint8] = self.places[self._indices(values)]
        return places

    def count(self, values: pa.Array) -> Counts:
        """Number of values in each of the 70 cells."""
        seen = np.bincount(self._indices(values), minlength=len(self.known) + 2)
        return np.bincount(self.places, weights=seen, minlength=CELLS).astype(np.int32)

    def _indices(self, values: pa.Array) -> npt.NDArray[np.int64]:
        unknown, absent = len(self.known), len(self.known) + 1
        if pa.types.is_dictionary(values.type):
            return self._dictionary_indices(values)
        found = pc.fill_null(pc.index_in(values, value_set=self.known), unknown).to_numpy(
            zero_copy_only=False
        )
        if values.null_count:
            found = np.where(pc.is_null(values).to_numpy(zero_copy_only=False), absent, found)
        result: npt.NDArray[np.int64] = found.astype(np.int64)
        return result

    def _dictionary_indices(self, values: pa.DictionaryArray) -> npt.NDArray[np.int64]:
        own = np.append(self._indices(pc.cast(values.dictionary, pa.string())), len(self.known) + 1)
        codes = pc.fill_null(values.indices, -1).to_numpy(zero_copy_only=False)
        result: npt.NDArray[np.int64] = own[codes]
        return result


def category_cells(reference: pa.Array, listed: tuple[str, ...] = ()) -> CategoryCells:
    """Cells for the values of `reference`; those of `listed` (loop.yaml) that it lacks count as `OTHER`, not as new."""
    counted = pc.value_counts(reference.drop_null())
    counts = sorted(
        ((count, value) for value, count in zip(*_parts(counted), strict=True)), key=lambda p: (-p[0], p[1])
    )
    frequent = [value for count, value in counts[:OTHER] if count >= MINIMUM_COUNT]
    rest = [value for _, value in counts[len(frequent) :]]
    rest += [value for value in listed if value not in {found for _, found in counts}]
    places = [*range(len(frequent)), *[OTHER] * len(rest), NEW, MISSING]
    known = pa.array(frequent + rest, pa.string())
    return CategoryCells(known, np.array(places, np.uint8), len(frequent) + bool(rest))


def _parts(counted: pa.StructArray) -> tuple[list[str], list[int]]:
    return counted.field("values").to_pylist(), counted.field("counts").to_pylist()
