"""Rows with times far off: in the lake, in the metric, and nowhere in a watermark; and what a person corrects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from shared.contracts.lake_schema import PARTITION, SET_ASIDE
from shared.errors import NotFound
from shared.messaging.arrow import predictions_batch, to_bytes
from shared.spool.record import PredictionRecord
from shared.stores.watermark_correction import Correction, correct_watermark, rows_set_aside
from tests.fakes.rows import NOON
from tests.unit.services.prediction_log.sink.test_sink import put

HOUR = timedelta(hours=1)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
BOUND = 10 * HOUR // timedelta(microseconds=1)


def answer(log: Any, sequence: int, *times: datetime, generation: int = 1, bound: int | None = None) -> None:
    """Rows of a replay: each is a record of its own, answered now."""
    for place, time in enumerate(times, sequence):
        record = PredictionRecord(
            model="flights", sequence=place, version="v", generation=generation, event_time=time, answered_at=NOW + place * HOUR,
            prediction_ids=[f"p{place}"], scores=[0.5], columns={"distance": [1.0]}, time_bound=bound,
        )  # fmt: skip
        put(log, to_bytes(predictions_batch([record], writer="w", epoch=1)))
    log.sink.step()


def far_off(log: Any, side: str, kind: str = "predictions") -> float:
    return log.metric("homeostat_sink_far_off_rows_total", kind=kind, model="flights", side=side)  # type: ignore[no-any-return]


def test_request_without_time_in_a_replay_moves_no_watermark(log: Any) -> None:
    answer(log, 0, NOON, NOW, NOON + HOUR, NOON - timedelta(days=400))
    assert log.lake.watermark("flights") == NOON + HOUR
    assert log.lake.latest_event_time("flights") == NOON + HOUR
    assert (far_off(log, "ahead"), far_off(log, "behind")) == (1, 1)
    every = log.lake.read_predictions("flights", datetime(2000, 1, 1, tzinfo=UTC), NOW + HOUR)
    assert every["prediction_id"].to_pylist() == ["p3", "p0", "p2", "p1"], "it is logged all the same"
    assert log.lake.event_times("flights", 1, NOON).to_pylist() == [NOON, NOON + HOUR]
    aside = rows_set_aside(log.lake, log.lake.predictions("flights"), "event_time", 5)
    assert (aside.rows, aside.examples) == (1, (("p1", NOW),))
    # A new process reads where the stream is, and a new generation may begin with such a row.
    log.sink, log.consumer = log.new_sink()
    answer(log, 4, NOW, generation=2)
    assert log.lake.generations("flights", 1) == [], "nor does such a row begin the windows of a generation"
    answer(log, 5, NOON + 2 * HOUR, generation=2)
    assert log.lake.watermark("flights") == NOON + 2 * HOUR
    [seen] = log.lake.generations("flights", 1)
    assert seen.first == NOON + 2 * HOUR
    answer(log, 6, NOW, generation=3)
    answer(log, 7, NOON + 3 * HOUR, generation=4)
    assert [seen.generation for seen in log.lake.generations("flights", 1)] == [2, 4]


def test_bound_of_the_version_counts(log: Any) -> None:
    answer(log, 0, NOON, NOON + 11 * HOUR, NOON + 10 * HOUR, bound=BOUND)
    assert log.lake.watermark("flights") == NOON + 10 * HOUR
    answer(log, 3, NOON + 15 * HOUR)
    assert log.lake.watermark("flights") == NOON + 15 * HOUR
    assert far_off(log, "ahead") == 1


def test_a_person_sets_a_watermark_back_and_forth(log: Any) -> None:
    answer(log, 0, NOW, NOON, NOON + HOUR)
    assert log.lake.watermark("flights") == NOW, "the first row began the stream"
    assert far_off(log, "behind") == 2
    location = log.lake.predictions("flights")
    assert correct_watermark(location, "event_time", NOON + HOUR) == Correction(1, 0)
    assert log.lake.watermark("flights") == NOON + HOUR
    answer(log, 3, NOON + 2 * HOUR, NOW)
    assert log.lake.watermark("flights") == NOON + 2 * HOUR, "the running sink has seen the correction"
    assert (far_off(log, "behind"), far_off(log, "ahead")) == (2, 1)
    assert correct_watermark(location, "event_time", NOW + 9 * HOUR) == Correction(0, 2)
    assert log.lake.watermark("flights") == NOW
    table = log.lake.open(location).to_pyarrow_table()
    months = dict(zip(table["prediction_id"].to_pylist(), table[PARTITION].to_pylist(), strict=True))
    assert months == {"p0": "2026-03", "p1": "2013-03", "p2": "2013-03", "p3": "2013-03", "p4": "2026-03"}
    assert SET_ASIDE not in months.values()
    with pytest.raises(NotFound):
        correct_watermark(log.lake.predictions("taxis"), "event_time", NOON)


def test_correction_is_seen_by_the_look_at_a_row_far_ahead(log: Any) -> None:
    day = timedelta(days=1)
    answer(log, 0, NOON, NOON + 20 * day)
    answer(log, 2, NOON + 40 * day)
    assert correct_watermark(log.lake.predictions("flights"), "event_time", NOON) == Correction(2, 0)
    answer(log, 3, NOON + 400 * day, NOON + 41 * day, NOON + HOUR)
    assert log.lake.watermark("flights") == NOON + HOUR
    assert far_off(log, "ahead") == 2


def test_corrected_outcomes_table_gives_no_new_outcomes(log: Any) -> None:
    from shared.stores.added_outcomes import outcome_ids_since

    answer(log, 0, NOON)
    for place, time in enumerate((NOON, NOON + HOUR)):
        log.spool.append_outcomes(
            model="flights", received_at=NOW, prediction_ids=[f"p{place}"], values=[1.0], observed_at=[time]
        )
    log.drain()
    version = log.lake.snapshot("flights").outcomes
    assert correct_watermark(log.lake.outcomes("flights"), "observed_at", NOON) == Correction(1, 0)
    assert log.lake.latest_observation("flights") == NOON
    added = outcome_ids_since(log.lake, "flights", version)
    assert added is not None
    assert added.to_pylist() == []


def observe(log: Any, number: int, time: datetime, *, bound: int | None = None) -> None:
    log.spool.append_outcomes(
        model="flights", received_at=NOW, prediction_ids=[f"p{number}"], values=[1.0], observed_at=[time],
        time_bound=bound,
    )  # fmt: skip
    log.drain()


def test_outcomes_state_their_bound(log: Any) -> None:
    wide = timedelta(days=400) // timedelta(microseconds=1)
    observe(log, 0, NOON, bound=wide)
    log.sink, log.consumer = log.new_sink()  # it has read no prediction of the model
    observe(log, 1, NOON + timedelta(days=100), bound=wide)
    assert log.lake.latest_observation("flights") == NOON + timedelta(days=100)
    assert far_off(log, "ahead", "outcomes") == 0
    observe(log, 2, NOON + timedelta(days=200))
    assert far_off(log, "ahead", "outcomes") == 1, "a record without a bound has the default"


def test_bound_is_of_each_record_of_outcomes(log: Any) -> None:
    for number, (days, bound) in enumerate(((0, BOUND), (25, None), (50, None), (51, BOUND))):
        log.spool.append_outcomes(
            model="flights", received_at=NOW, prediction_ids=[f"p{number}"], values=[1.0],
            observed_at=[NOON + timedelta(days=days)], time_bound=bound,
        )  # fmt: skip
    log.drain()
    assert log.lake.latest_observation("flights") == NOON + timedelta(days=50)
    assert far_off(log, "ahead", "outcomes") == 1


def test_a_sink_that_is_behind_reads_where_another_has_moved_the_stream(log: Any) -> None:
    behind = log.sink
    answer(log, 0, NOON, bound=BOUND)
    log.sink, log.consumer = log.new_sink()
    answer(log, 1, NOON + 8 * HOUR, NOON + 16 * HOUR, bound=BOUND)
    log.sink = behind
    answer(log, 3, NOON + 20 * HOUR, bound=BOUND)
    assert log.lake.watermark("flights") == NOON + 20 * HOUR
    assert far_off(log, "ahead") == 0
    answer(log, 4, NOON + 31 * HOUR, bound=BOUND)
    assert far_off(log, "ahead") == 1, "a row far from the moved stream is set aside all the same"


def test_bound_that_is_no_number_counts_as_the_default(log: Any) -> None:
    record = PredictionRecord(
        model="flights", sequence=0, version="v", generation=1, event_time=NOON, answered_at=NOW,
        prediction_ids=["p0"], scores=[0.5], columns={"distance": [1.0]},
    )  # fmt: skip
    batch = predictions_batch([record], writer="w", epoch=1)
    for text in (b"-1", b"x", b"9" * 40):
        schema = pa.schema(list(batch.schema), {b"homeostat.time_bound": text})
        put(log, to_bytes(pa.RecordBatch.from_arrays(batch.columns, schema=schema)))
    log.sink.step()
    assert log.ids() == ["p0"]
