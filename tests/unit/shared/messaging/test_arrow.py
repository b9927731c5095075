from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from shared.contracts.event_time import MAX_TIME, MIN_TIME
from shared.contracts.lake_schema import (
    OUTCOME_COLUMNS,
    OUTCOME_OPTIONAL_COLUMNS,
    PREDICTION_COLUMNS,
    PREDICTION_OPTIONAL_COLUMNS,
    TIMESTAMP,
)
from shared.messaging.arrow import (
    UndecodableBatch,
    find_flaw,
    from_bytes,
    outcomes_batch,
    predictions_batch,
    to_bytes,
)
from shared.spool.record import Classes, OutcomeRecord, PredictionRecord

NOW = datetime(2013, 1, 1, tzinfo=UTC)


def record(sequence: int, count: int, **changes: object) -> PredictionRecord:
    values: dict[str, object] = {
        "model": "flights", "sequence": sequence, "version": "v", "generation": 2, "event_time": NOW,
        "answered_at": NOW, "prediction_ids": [f"p{sequence + row}" for row in range(count)],
        "scores": [0.5] * count, "columns": {"carrier": ["UA"] * count},
    }  # fmt: skip
    return PredictionRecord(**(values | changes))  # type: ignore[arg-type]


def test_records_become_rows_in_order_with_their_own_sequences() -> None:
    batch = predictions_batch([record(0, 2), record(5, 1)], writer="w", epoch=4)
    assert batch["sequence"].to_pylist() == [0, 1, 5]
    assert batch["prediction_id"].to_pylist() == ["p0", "p1", "p5"]
    assert set(batch["writer"].to_pylist()) == {"w"}
    assert set(batch["epoch"].to_pylist()) == {4}
    assert batch["event_time"].to_pylist() == [NOW] * 3


def test_bytes_and_back_is_the_same_batch() -> None:
    batch = predictions_batch([record(0, 3)], writer="w", epoch=1)
    assert from_bytes(to_bytes(batch), columns=PREDICTION_COLUMNS).equals(batch)


def test_slot_is_a_column_only_where_a_canary_answered() -> None:
    assert "slot" not in predictions_batch([record(0, 3)], writer="w", epoch=1).schema.names
    batch = predictions_batch([record(0, 2), record(2, 1, slot="canary")], writer="w", epoch=1)
    assert batch["slot"].to_pylist() == ["live", "live", "canary"]


def test_keys_are_a_column_only_where_a_request_had_one() -> None:
    assert "key" not in predictions_batch([record(0, 3)], writer="w", epoch=1).schema.names
    batch = predictions_batch([record(0, 2), record(2, 2, keys=["a", None])], writer="w", epoch=1)
    assert batch["key"].to_pylist() == [None, None, "a", None]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["UA", None], pa.string()),
        ([1, 2], pa.int64()),
        ([1.5, None], pa.float64()),
        ([1, 2.5], pa.float64()),
        ([True, False], pa.bool_()),
    ],
)
def test_values_decide_a_features_type(values: list[object], kind: pa.DataType) -> None:
    batch = predictions_batch([record(0, 2, columns={"x": values})], writer="w", epoch=1)
    assert batch.schema.field("f_x").type == kind
    assert batch["f_x"].to_pylist() == values


def test_a_feature_without_any_value_is_left_to_the_lake() -> None:
    batch = predictions_batch([record(0, 2, columns={"x": [None, None]})], writer="w", epoch=1)
    assert batch.schema.names == PREDICTION_COLUMNS.names


def test_a_feature_one_record_lacks_is_missing_there() -> None:
    batch = predictions_batch(
        [record(0, 1, columns={"x": [1.0]}), record(1, 1, columns={})], writer="w", epoch=1
    )
    assert batch["f_x"].to_pylist() == [1.0, None]


def test_values_of_no_common_type_are_refused_by_name() -> None:
    # It is logged, and stored with the dead letter, so it shows no value: the feature may be personal.
    with pytest.raises(ValueError, match=r"^feature x has values that no column takes: float, str$"):
        predictions_batch([record(0, 2, columns={"x": ["UA", 1.0]})], writer="w", epoch=1)
    with pytest.raises(ValueError, match=r"^feature x has values that no column takes: int$"):
        predictions_batch([record(0, 2, columns={"x": [1, 2**64]})], writer="w", epoch=1)


def test_a_tensor_is_a_flat_list_per_row() -> None:
    tensor = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    batch = predictions_batch(
        [record(0, 2, columns={}, tensors={"image": tensor}), record(2, 1, columns={})], writer="w", epoch=1
    )
    assert batch["f_image"].to_pylist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11], None]


def test_an_answer_without_a_score_has_none() -> None:
    batch = predictions_batch([record(0, 2, scores=None)], writer="w", epoch=1)
    assert batch["score"].to_pylist() == [None, None]


def test_classes_become_a_label_and_a_list_of_scores() -> None:
    classes = Classes(["cat", "dog"], np.array([[0.75, 0.25], [0.5, 0.5]], np.float32))
    batch = predictions_batch([record(0, 2, classes=classes), record(2, 1)], writer="w", epoch=1)
    assert batch.schema.names == [*PREDICTION_COLUMNS.names, "label", "scores", "f_carrier"]
    assert batch.schema.field("scores") == PREDICTION_OPTIONAL_COLUMNS.field("scores")
    assert batch["label"].to_pylist() == ["cat", "dog", None]
    assert batch["scores"].to_pylist() == [[0.75, 0.25], [0.5, 0.5], None]


def test_outcomes_of_classes_have_labels() -> None:
    labelled = OutcomeRecord("flights", 0, NOW, ["a"], [None], [NOW], labels=["cat"])
    plain = OutcomeRecord("flights", 1, NOW, ["b"], [1.0], [NOW])
    batch = outcomes_batch([labelled, plain], writer="w", epoch=1)
    assert batch.schema.names == [*OUTCOME_COLUMNS.names, "label"]
    assert (batch["label"].to_pylist(), batch["value"].to_pylist()) == (["cat", None], [None, 1.0])


def test_outcomes_become_rows() -> None:
    batch = outcomes_batch(
        [OutcomeRecord("flights", 3, NOW, ["a", "b"], [1.0, 0.0], [NOW, NOW], "trace")], writer="w", epoch=1
    )
    assert batch.schema == OUTCOME_COLUMNS
    assert batch["sequence"].to_pylist() == [3, 4]
    assert batch["value"].to_pylist() == [1.0, 0.0]


def test_outcomes_name_their_sender_where_it_is_known() -> None:
    sent = OutcomeRecord("flights", 0, NOW, ["a", "b"], [1.0, 0.0], [NOW, NOW], sender="shop")
    before = OutcomeRecord("flights", 2, NOW, ["c"], [1.0], [NOW])
    batch = outcomes_batch([sent, before], writer="w", epoch=1)
    assert batch.schema.names == [*OUTCOME_COLUMNS.names, "sender"]
    assert batch["sender"].to_pylist() == ["shop", "shop", None]
    assert find_flaw(batch, columns=OUTCOME_COLUMNS, optional=OUTCOME_OPTIONAL_COLUMNS, features=False) == ""


def stream(*batches: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return bytes(sink.getvalue())


GOOD = predictions_batch([record(0, 2)], writer="w", epoch=1)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"", "not an Arrow stream"),
        (b"poison" * 50, "not an Arrow stream"),
        (to_bytes(GOOD)[:200], "not an Arrow stream"),
        (stream(GOOD, GOOD), "2 batches"),
        (stream(GOOD.drop_columns(["writer"])), "column writer is missing"),
        (
            stream(GOOD.set_column(2, pa.field("generation", pa.string()), pa.array(["1", "2"]))),
            "generation has type string, expected int64",
        ),
        (
            stream(GOOD.set_column(0, pa.field("prediction_id", pa.string()), pa.array(["a", None]))),
            "prediction_id has missing values",
        ),
    ],
    ids=["nothing", "noise", "cut off", "two batches", "column missing", "wrong type", "null id"],
)
def test_invalid_batch_is_refused(value: bytes, said: str) -> None:
    with pytest.raises(UndecodableBatch, match=said):
        from_bytes(value, columns=PREDICTION_COLUMNS)


def test_bomb_is_refused_before_it_is_decompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = to_bytes(pa.record_batch({"x": np.zeros(50_000_000)}))
    assert len(bomb) < 60_000
    before = pa.default_memory_pool().bytes_allocated()

    def opened(*_: object) -> None:
        raise AssertionError("the bomb is opened")

    monkeypatch.setattr(pa.ipc, "open_stream", opened)
    with pytest.raises(UndecodableBatch, match="400000000 bytes decompressed, expected at most 268435456"):
        from_bytes(bomb, columns=PREDICTION_COLUMNS)
    assert pa.default_memory_pool().bytes_allocated() == before


def test_corrupt_bytes_never_crash_the_decoder() -> None:
    value = to_bytes(GOOD)
    random = np.random.default_rng(3)
    for _ in range(300):
        damaged = bytearray(value)
        damaged[random.integers(len(damaged))] ^= 1 << int(random.integers(8))
        try:
            from_bytes(bytes(damaged), columns=PREDICTION_COLUMNS)
        except UndecodableBatch:
            continue


def test_rows_of_numbers_become_lists_without_a_label() -> None:
    vectors = np.array([[1.5, 2.0], [3.0, 4.0]], np.float32)
    batch = predictions_batch([record(0, 2, scores=None, vectors=vectors), record(2, 1)], writer="w", epoch=1)
    assert batch.schema.names == [*PREDICTION_COLUMNS.names, "scores", "f_carrier"]
    assert batch.schema.field("scores") == PREDICTION_OPTIONAL_COLUMNS.field("scores")
    assert batch["scores"].to_pylist() == [[1.5, 2.0], [3.0, 4.0], None]


def test_outcomes_of_values_are_maps_by_name() -> None:
    numbers = OutcomeRecord("flights", 0, NOW, ["a"], [None], [NOW], numbers=[{"low": 1.0, "high": 2.0}])
    plain = OutcomeRecord("flights", 1, NOW, ["b"], [1.0], [NOW])
    batch = outcomes_batch([numbers, plain], writer="w", epoch=1)
    assert batch.schema.names == [*OUTCOME_COLUMNS.names, "values"]
    assert batch["values"].to_pylist() == [[("low", 1.0), ("high", 2.0)], None]
    again = from_bytes(to_bytes(batch), columns=OUTCOME_COLUMNS)
    assert find_flaw(again, columns=OUTCOME_COLUMNS, optional=OUTCOME_OPTIONAL_COLUMNS, features=False) == ""


def times_batch(*micros: int) -> pa.RecordBatch:
    made = record(0, len(micros), columns={"opened": list(micros)}, timestamps=frozenset({"opened"}))
    return predictions_batch([made], writer="w", epoch=1)


def flaw_of(batch: pa.RecordBatch) -> str:
    return find_flaw(batch, columns=PREDICTION_COLUMNS, optional=PREDICTION_OPTIONAL_COLUMNS, features=True)


def test_timestamps_become_times() -> None:
    batch = times_batch(1_772_366_400_000_001, MIN_TIME, MAX_TIME)
    assert batch.schema.field("f_opened").type == TIMESTAMP
    assert batch["f_opened"][0].as_py() == datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC)
    assert flaw_of(from_bytes(to_bytes(batch), columns=PREDICTION_COLUMNS)) == ""


@pytest.mark.parametrize("micros", [MIN_TIME - 1, MAX_TIME + 1])
def test_time_that_no_reader_could_show_is_a_flaw(micros: int) -> None:
    assert flaw_of(times_batch(0, micros)) == "column f_opened has a time outside the years 1 to 9999"


def test_timestamps_of_a_record_without_them_are_missing() -> None:
    some = record(0, 1, columns={"opened": [1]}, timestamps=frozenset({"opened"}))
    batch = predictions_batch([some, record(1, 1, columns={})], writer="w", epoch=1)
    assert batch["f_opened"].null_count == 1
    assert flaw_of(batch) == ""
    assert flaw_of(batch.slice(1)) == ""
