"""Cells of a category: frequent values of the reference have one each, the others share some by hash, new values have one.

Which values are the most frequent is partly chance. The sixty most frequent of 500 equally likely values are those that the
reference has too often, so later rows have them less often, which is no drift. So only a value with a share of at least 1/32
has a cell of its own, where that bias is small. A hash of the name assigns the others, whatever their counts.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from services.drift.stream.tiles import CELLS, MISSING, NEW, VALUE_CELLS, Counts

# Share of the reference from which a value has a cell of its own.
OWN_SHARE = 1 / 32


@dataclass(frozen=True, eq=False)
class CategoryCells:
    """`known[i]` has the cell `places[i]`; a value beyond `known` is new.

    `unseen`: (64,), by how many rows the counts of the reference exceed their expectation, because as many rows have a value that
    it lacks: the number of values seen once (Good 1953). Zero where loop.yaml lists the values.
    """

    known: pa.Array
    places: npt.NDArray[np.uint8]
    bins: int
    unseen: npt.NDArray[np.float64]

    def cells(self, values: pa.Array) -> npt.NDArray[np.uint8]:
        """The cell of each value; null is missing.

        >>> cells = category_cells(pa.array(["a"] * 9 + ["b"] * 5))
        >>> cells.cells(pa.array(["a", "b", "d", None])).tolist()
        [0, 1, 68, 66]
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
    """Cells for the values of `reference` and those that loop.yaml lists, of which it may lack some."""
    present = reference.drop_null()
    counts = dict(zip(*_parts(pc.value_counts(present)), strict=True))
    ordered = sorted(counts, key=lambda value: (-counts[value], value))
    ordered += [value for value in listed if value not in counts]
    frequent = sum(count >= OWN_SHARE * len(present) for count in counts.values())
    own = len(ordered) if len(ordered) <= VALUE_CELLS else frequent
    shared = VALUE_CELLS - own
    places = [
        place if place < own else own + zlib.crc32(value.encode()) % shared
        for place, value in enumerate(ordered)
    ]
    unseen = np.zeros(VALUE_CELLS)
    if not listed:
        single = [place for value, place in zip(ordered, places, strict=True) if counts.get(value) == 1]
        unseen = np.bincount(single, minlength=VALUE_CELLS).astype(np.float64)
    used = len(set(places))
    return CategoryCells(
        pa.array(ordered, pa.string()), np.array([*places, NEW, MISSING], np.uint8), used, unseen
    )


def _parts(counted: pa.StructArray) -> tuple[list[str], list[int]]:
    return counted.field("values").to_pylist(), counted.field("counts").to_pylist()
