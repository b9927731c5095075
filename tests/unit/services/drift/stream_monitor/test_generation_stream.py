"""Streams of models whose features and answers are not single numbers or categories."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from services.drift.evaluation.columns import rows_from_table
from services.drift.evaluation.reference_profile import build_reference
from services.drift.stream.stream_profile import StreamProfile
from services.drift.stream_monitor.generation_stream import GenerationStream
from services.drift.stream_monitor.suspicion import Suspicion
from shared.contracts.lake_schema import FEATURE_PREFIX
from shared.contracts.loop_spec import LoopSpec
from tests.unit.services.drift.world import loop, minutes

VERSION = "ab" * 32
SIZE = 4
PREDICTIONS: dict[str, dict[str, Any]] = {
    "embedding": {"prediction": {"kind": "embedding", "size": 2}, "metric": None, "outcome": None},
    "probability": {},
    "values": {"prediction": {"kind": "values", "names": ["low", "high"]}, "metric": {"name": "mae"}},
}


def spec(kind: str) -> LoopSpec:
    features = [
        {"name": "pixels", "type": "tensor", "shape": [SIZE]},
        {"name": "words", "type": "text"},
        {"name": "seen", "type": "timestamp"},
        {"name": "flag", "type": "boolean"},
    ]
    return loop(features=features, **PREDICTIONS[kind])


def rows(
    count: int, seed: int, *, kind: str, start: float = 0.0, prefix: str = "", brighter: float = 0.0,
    longer: int = 0, answers: float = 0.0,
) -> pa.Table:  # fmt: skip
    random = np.random.default_rng(seed)
    times = [minutes(start) + timedelta(seconds=10) * place for place in range(count)]
    pixels = random.normal(brighter, 1, (count, SIZE))
    columns: dict[str, object] = {
        "event_time": pa.array(times, pa.timestamp("us", tz="UTC")),
        "answered_at": pa.array(times, pa.timestamp("us", tz="UTC")),
        f"{prefix}pixels": pa.array(pixels.tolist(), pa.list_(pa.float32())),
        f"{prefix}words": ["w" * int(length) for length in random.integers(5 + longer, 40 + longer, count)],
        f"{prefix}seen": pa.array(
            [
                time - timedelta(minutes=float(age))
                for time, age in zip(times, random.random(count), strict=True)
            ],
            pa.timestamp("us", tz="UTC"),
        ),
        f"{prefix}flag": random.random(count) < 0.3,
        "outcome": [{"low": 0.0, "high": 0.0}] * count if kind == "values" else random.random(count) < 0.5,
    }
    if kind == "probability":
        columns["score"] = np.clip(random.beta(2, 5, count) + answers, 0, 1)
    else:
        columns["scores"] = pa.array(random.normal(answers, 1, (count, 2)).tolist(), pa.list_(pa.float32()))
    return pa.table(columns)


def found(kind: str, **changed: Any) -> list[Suspicion]:
    """What an hour as in the reference, and an hour with changes, raise."""
    loop_spec = spec(kind)
    reference = build_reference(VERSION, loop_spec, rows_from_table(rows(5000, 1, kind=kind), loop_spec))
    stream = GenerationStream("toy", VERSION, 1, StreamProfile.of(reference, 1.0))
    raised: list[Suspicion] = []
    for seed, start, options in ((2, 0.0, {}), (3, 60.0, changed)):
        table = rows(360, seed, kind=kind, start=start, prefix=FEATURE_PREFIX, **options)
        for batch in table.to_batches(max_chunksize=50):
            raised += stream.add(batch)
    assert stream.take_progress().rows == 720
    again = GenerationStream("toy", VERSION, 1, stream.profile)
    again.restore(stream.state())
    assert all(np.array_equal(array, again.state()[name]) for name, array in stream.state().items())
    return raised


@pytest.mark.parametrize("kind", PREDICTIONS)
@pytest.mark.parametrize(
    ("changed", "feature"), [({"brighter": 2.0}, "pixels"), ({"longer": 30}, "words")], ids=["tensor", "text"]
)
def test_change_of_a_feature_is_found_and_named(kind: str, changed: dict[str, Any], feature: str) -> None:
    first = found(kind, **changed)[0]
    assert first.counting[0].features == (feature,)
    assert first.subject.span.end > minutes(60)


@pytest.mark.parametrize("kind", PREDICTIONS)
def test_rows_like_the_reference_raise_nothing(kind: str) -> None:
    assert found(kind) == []


@pytest.mark.parametrize(("kind", "watched"), [("values", True), ("probability", True), ("embedding", False)])
def test_change_of_the_answers(kind: str, watched: bool) -> None:
    """Numbers of an embedding are not measured: they have no meaning one by one."""
    raised = found(kind, answers=0.5 if kind == "probability" else 2.0)
    assert {alarm.signal for one in raised for alarm in one.alarms if alarm.state == "drift"} == (
        {"prediction"} if watched else set()
    )
