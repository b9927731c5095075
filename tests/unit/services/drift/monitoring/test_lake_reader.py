from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from services.drift.monitoring.lake_reader import DeltaLakeReader
from services.drift.outcome_readiness import Watermarks
from services.drift.windows import Span
from shared.contracts.loop_spec import LoopSpec
from shared.errors import DependencyUnavailable
from shared.stores.lake import Lake
from tests.fakes.class_lake import fill_class_lake
from tests.fakes.class_model import class_loop
from tests.fakes.values_lake import fill_values_lake
from tests.fakes.vector_model import LINES, NAMES, values_loop
from tests.unit.services.drift.world import World, loop, minutes, ordinary


@pytest.fixture
def lake_reader(world: World) -> DeltaLakeReader:
    return DeltaLakeReader(world.lake)


def test_an_empty_lake_knows_nothing_and_fails_nothing(lake_reader: DeltaLakeReader) -> None:
    assert lake_reader.watermarks("toy") == Watermarks(None, None)
    assert lake_reader.generations("toy", 0) == []
    assert lake_reader.times("toy", 1, minutes(0)).size == 0
    assert len(lake_reader.rows("toy", loop(), Span(minutes(0), minutes(60)), 1)) == 0


def test_rows_come_with_their_outcomes(world: World, lake_reader: DeltaLakeReader) -> None:
    columns = ordinary(100, 1)
    manifest = world.version(loop(), columns)
    columns["outcome"] = [float("nan") if place % 2 else 1.0 for place in range(100)]
    world.answer(manifest, 1, columns)
    rows = lake_reader.rows("toy", loop(), Span(minutes(0), minutes(5)), 1)
    assert len(rows) == 30
    assert np.array_equal(rows.outcome, [1.0, np.nan] * 15, equal_nan=True)
    assert rows.columns["x"] == pytest.approx(np.asarray(columns["x"])[:30], rel=1e-6)
    assert rows.columns["c"].tolist() == np.asarray(columns["c"])[:30].tolist()


def test_faulty_outcomes_are_counted(world: World) -> None:
    columns = ordinary(60, 1)
    world.answer(world.version(loop(), columns), 1, columns)
    reader = DeltaLakeReader(world.lake)
    table = world.lake.open(world.lake.outcomes("toy"))
    assert table is not None
    repeated = table.to_pyarrow_table().slice(0, 4)
    place = repeated.schema.get_field_index("value")
    other = repeated.set_column(place, "value", pc.add(repeated["value"], 1.0))
    other = other.append_column("sender", pa.array(["shop", "shop", "sensors", None]))
    write_deltalake(table, other, mode="append", schema_mode="merge")
    rows = reader.rows("toy", loop(), Span(minutes(0), minutes(60)), 1)
    assert len(rows) == 60
    assert (rows.early_outcomes, rows.contradicted_outcomes) == (0, 4)
    assert rows.contradicting == {"": 4, "shop": 2, "sensors": 1}
    document = loop().model_dump(mode="json")
    document["outcome"]["excluded_senders"] = ["shop"]
    rows = reader.rows("toy", LoopSpec.model_validate(document), Span(minutes(0), minutes(60)), 1)
    assert rows.contradicting == {"": 2, "sensors": 1}


def test_rows_of_classes_come_with_labels_and_losses(world: World, lake_reader: DeltaLakeReader) -> None:
    fill_class_lake(world.lake, class_loop(), [0, 1, 2], ["cat", None, "cat"])
    rows = lake_reader.rows("animals", class_loop(), Span(minutes(0), minutes(60)), 1)
    assert rows.predictions["label"].tolist() == ["cat", "dog", "bird"]
    assert rows.loss == pytest.approx([-np.log(0.75), np.nan, -np.log(0.125)], nan_ok=True)


def test_a_feature_the_lake_does_not_have_yet_is_missing(world: World, lake_reader: DeltaLakeReader) -> None:
    manifest = world.version(loop(), ordinary(10, 1))
    world.answer(manifest, 1, ordinary(10, 1))
    later = loop(features=[{"name": "x", "type": "number"}, {"name": "new", "type": "number"}])
    rows = lake_reader.rows("toy", later, Span(minutes(0), minutes(60)), 1)
    assert np.isnan(rows.columns["new"].astype(float)).all()


def test_compacting_the_lake_changes_nothing(world: World, lake_reader: DeltaLakeReader) -> None:
    manifest = world.version(loop(), ordinary(10, 1))
    for batch in range(3):
        world.answer(manifest, batch + 1, ordinary(60, batch, start=minutes(10 * batch)))

    def shown() -> tuple[object, ...]:
        return (
            lake_reader.watermarks("toy"),
            list(lake_reader.generations("toy", 1)),
            lake_reader.times("toy", 2, minutes(0)).tolist(),
        )

    before = shown()
    for location in (world.lake.predictions("toy"), world.lake.outcomes("toy")):
        table = world.lake.open(location)
        assert table is not None
        table.optimize.compact()
        table.create_checkpoint()
        table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert shown() == before
    assert [seen.generation for seen in lake_reader.generations("toy", 1)] == [2, 3]


def test_poll_of_an_unchanged_lake_opens_no_file(world: World, lake_reader: DeltaLakeReader) -> None:
    manifest = world.version(loop(), ordinary(10, 1))
    for generation in (1, 2):
        world.answer(manifest, generation, ordinary(60, generation, start=minutes(10 * generation)))
    watermarks = lake_reader.watermarks("toy")
    [file] = [
        path
        for path in (world.home / "lake" / "predictions" / "toy").rglob("*.parquet")
        if set(pq.read_table(path, columns=["generation"])["generation"].to_pylist()) == {1}
    ]
    file.unlink()
    assert [seen.generation for seen in lake_reader.generations("toy", 1)] == [2]
    for path in (world.home / "lake").rglob("*.parquet"):
        path.unlink()
    assert lake_reader.generations("toy", 2) == []
    assert lake_reader.watermarks("toy") == watermarks


def test_unreadable_lake_is_unavailable(world: World) -> None:
    location = world.home / "lake" / "predictions" / "toy" / "_delta_log"
    location.mkdir(parents=True)
    (location / "00000000000000000000.json").write_text("this is no log")
    with pytest.raises(DependencyUnavailable, match="lake"):
        DeltaLakeReader(Lake(str(world.home / "lake"))).watermarks("toy")


def test_rows_of_values_come_with_numbers_by_name(world: World, lake_reader: DeltaLakeReader) -> None:
    spec = values_loop()
    outcomes = [dict.fromkeys(NAMES, 2.0), None, {"low": 1.0, "mid": 1.0, "top": 1.0}]
    fill_values_lake(world.lake, spec, [0, 1, 2], LINES, outcomes)
    rows = lake_reader.rows("ranges", spec, Span(minutes(0), minutes(60)), 1)
    assert rows.predictions["score.mid"].tolist() == [2.0, 0.5, 20.0]
    # An outcome of other names, as another version had them, is none of this version.
    assert rows.loss == pytest.approx([1.0, np.nan, np.nan], nan_ok=True)
