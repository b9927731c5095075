from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from services.drift.evaluation.columns import rows_from_table
from services.drift.evaluation.reference_profile import build_reference
from services.drift.stream.layout import TileLayout
from services.drift.stream.tiles import CELLS, INFINITE, INVALID, MISSING, NEW
from shared.messaging.arrow import predictions_batch
from shared.spool.record import PredictionRecord
from tests.unit.services.drift.stream.streams import reference, table
from tests.unit.services.drift.world import loop, ordinary

NOW = datetime(2026, 3, 1, tzinfo=UTC)


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


def test_mistyped_columns_are_invalid_and_absent_ones_are_missing(layout: TileLayout) -> None:
    changed = batch(10, f_x0=pa.array(["?"] * 10)).drop_columns(["f_c0", "score"])
    counts = layout.count_batch(changed).counts
    assert counts[:, INVALID].tolist() == [10, 0, 0, 0]
    assert counts[:, MISSING].tolist() == [0, 0, 10, 10]


def test_rows_without_a_value_count_alike_in_one_batch_and_in_several(layout: TileLayout) -> None:
    """How rows are grouped into batches depends on their times of arrival; what they say does not."""
    features: dict[str, list[object]] = {"x0": [None, 1.0], "x1": [0.5, 0.5], "c0": [None, "v1"]}

    def sent(*places: int) -> pa.RecordBatch:
        record = PredictionRecord(
            model="toy", sequence=places[0], version="v", generation=1, event_time=NOW, answered_at=NOW,
            prediction_ids=[f"p{place}" for place in places], scores=[0.5] * len(places),
            columns={name: [values[place] for place in places] for name, values in features.items()},
        )  # fmt: skip
        return predictions_batch([record], writer="w", epoch=1)

    assert "f_x0" not in sent(0).schema.names
    apart = layout.count_batch(sent(0)).counts + layout.count_batch(sent(1)).counts
    assert apart.tolist() == layout.count_batch(sent(0, 1)).counts.tolist()


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
