from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from services.drift.evaluation.columns import rows_from_table
from services.drift.evaluation.reference_profile import build_reference
from services.drift.stream.layout import TileLayout
from services.drift.stream.tiles import CELLS, INFINITE, INVALID, MISSING, NEW
from tests.unit.services.drift.stream.streams import reference, table
from tests.unit.services.drift.world import loop, ordinary


@pytest.fixture(scope="module")
def layout() -> TileLayout:
    return TileLayout.of(reference(2_000, 1, numbers=2, categories=1))


def batch(rows: int, **changed: object) -> pa.RecordBatch:
    drawn = table(rows, 2, numbers=2, categories=1, prefix="f_", changed=changed)
    return drawn.combine_chunks().to_batches()[0]


def test_columns_are_features_then_predictions(layout: TileLayout) -> None:
    assert [(column.name, column.signal) for column in layout.columns] == [
        ("x0", "feature"),
        ("x1", "feature"),
        ("c0", "feature"),
        ("score", "prediction"),
    ]


def test_batch_and_rows_give_the_same_tile(layout: TileLayout) -> None:
    drawn = table(500, 2, numbers=2, categories=1)
    tile = layout.count(rows_from_table(drawn, layout.reference.loop))
    other = layout.count_batch(batch(500))
    assert tile.counts.tolist() == other.counts.tolist()
    assert (
        (tile.rows, tile.start, tile.end)
        == (other.rows, other.start, other.end)
        == (500, tile.start, tile.end)
    )
    assert tile.counts.sum(axis=1).tolist() == [500] * 4
    assert tile.end - tile.start == 499 * 1_000_000 + 1


def test_tiles_of_parts_add_up_to_the_tile_of_all(layout: TileLayout) -> None:
    whole = batch(500)
    parts = layout.count_batch(whole.slice(0, 123)) + layout.count_batch(whole.slice(123))
    assert parts.counts.tolist() == layout.count_batch(whole).counts.tolist()


def test_cells_of_rows_are_those_counted(layout: TileLayout) -> None:
    rows = rows_from_table(table(300, 3, numbers=2, categories=1), layout.reference.loop)
    cells = layout.cells(rows)
    counted = np.stack([np.bincount(row, minlength=CELLS) for row in cells])
    assert counted.tolist() == layout.count(rows).counts.tolist()


def test_absent_and_mistyped_columns_are_invalid(layout: TileLayout) -> None:
    changed = batch(10, f_x0=pa.array(["?"] * 10)).drop_columns(["f_c0", "score"])
    counts = layout.count_batch(changed).counts
    assert counts[[0, 2, 3], INVALID].tolist() == [10, 10, 10]
    assert counts[1, INVALID] == 0


def test_special_values_are_counted_apart(layout: TileLayout) -> None:
    changed = batch(
        4,
        f_x0=pa.array([None, float("nan"), float("inf"), 0.0]),
        f_c0=pa.array([None, "unheard", "v1", "v1"]),
    )
    counts = layout.count_batch(changed).counts
    assert counts[0, [MISSING, INFINITE]].tolist() == [2, 1]
    assert counts[2, [MISSING, NEW]].tolist() == [1, 1]


def test_integers_beyond_the_range_of_floats_are_rounded_as_in_windows() -> None:
    spec = loop(features=[{"name": "x", "type": "integer"}])
    drawn = {**ordinary(500, 1), "x": [2**60 + 7 * row for row in range(500)]}
    built = build_reference("ab" * 32, spec, rows_from_table(pa.table(drawn), spec))
    answered = pa.table({name: drawn[name] for name in ("event_time", "score")} | {"f_x": drawn["x"]})
    counted = TileLayout.of(built).count_batch(answered.combine_chunks().to_batches()[0])
    assert counted.counts[0, INVALID] == 0


def test_a_feature_that_is_not_watched_is_counted_only() -> None:
    features = [
        {"name": "x", "type": "number", "watch": False},
        {"name": "c", "type": "category", "values": ["a", "b", "d", "e"]},
    ]
    spec = loop(features=features)
    built = build_reference("ab" * 32, spec, rows_from_table(pa.table(ordinary(500, 1)), spec))
    assert [(one.name, one.watched) for one in TileLayout.of(built).columns[:2]] == [
        ("x", False),
        ("c", True),
    ]
