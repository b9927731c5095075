from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from services.drift.stream.alarm import Alarm
from services.drift.stream.detector import StateMismatch, StreamDetector
from services.drift.stream.stream_profile import StreamProfile
from services.drift.stream.tiles import Tile
from tests.unit.services.drift.stream.streams import START, TILE, reference, shifted, table, tiles

CHANGE = 40
ROWS = 4_000


@pytest.fixture(scope="module")
def profile() -> StreamProfile:
    return StreamProfile.of(reference(10_000, 1, numbers=4, categories=1), 1.0)


def stream(profile: StreamProfile, **changed: object) -> list[Tile]:
    """Eighty tiles; `changed` columns change after forty."""
    rows = table(ROWS, 2, numbers=4, categories=1)
    for name, values in changed.items():
        before = rows[name].slice(0, CHANGE * 50)
        after = values if isinstance(values, pa.Array) else pa.array(values)
        joined = pa.chunked_array([*before.chunks, after.slice(CHANGE * 50)])
        rows = rows.set_column(rows.schema.get_field_index(name), name, joined)
    return tiles(profile.layout, rows)


def run(detector: StreamDetector, stream: Sequence[Tile]) -> list[Alarm]:
    return [alarm for tile in stream for alarm in detector.step(tile)]


def test_stream_like_the_reference_raises_no_alarm(profile: StreamProfile) -> None:
    assert run(StreamDetector(profile), stream(profile)) == []


def test_shift_is_blamed_on_its_column_with_its_onset(profile: StreamProfile) -> None:
    rows = shifted(table(ROWS, 2, numbers=4, categories=1), {"x2": 2.0}, since=CHANGE * 50)
    (alarm,) = run(StreamDetector(profile), tiles(profile.layout, rows))
    assert (alarm.signal, alarm.state, alarm.method, alarm.features) == (
        "feature",
        "drift",
        "location",
        ("x2",),
    )
    change = START + CHANGE * TILE
    assert abs(alarm.onset - change) <= 2 * TILE
    assert timedelta(0) < alarm.detected_at - change <= 5 * TILE
    assert alarm.evidence >= alarm.threshold


def test_changed_predictions_are_an_alarm_of_their_own(profile: StreamProfile) -> None:
    rows = np.random.default_rng(8).beta(3, 5, ROWS)
    (alarm,) = run(StreamDetector(profile), stream(profile, score=rows))
    assert (alarm.signal, alarm.features) == ("prediction", ("score",))


def test_changed_categories_are_blamed(profile: StreamProfile) -> None:
    levels = np.array([f"v{level}" for level in range(5)], dtype=object)
    drawn = levels[np.random.default_rng(8).choice(5, ROWS, p=[0.4, 0.3, 0.1, 0.1, 0.1])]
    (alarm,) = run(StreamDetector(profile), stream(profile, c0=pa.array(drawn, pa.string())))
    assert (alarm.method, alarm.features) == ("categories", ("c0",))


@pytest.mark.parametrize(
    ("method", "column"),
    [("missing", "x1"), ("new_category", "c0"), ("units", "x2"), ("frozen", "x1"), ("swapped", "x2")],
)
def test_broken_data_is_a_fault_within_two_tiles_and_no_drift(
    profile: StreamProfile, method: str, column: str
) -> None:
    random = np.random.default_rng(8)
    normal = [random.normal(10 * place, 1 + place, ROWS) for place in range(4)]
    changed: dict[str, object] = {
        "missing": {"x1": np.where(random.random(ROWS) < 0.5, np.nan, normal[1])},
        "new_category": {"c0": pa.array(["unheard"] * ROWS)},
        "units": {"x2": normal[2] * 3.28084},
        "frozen": {"x1": np.full(ROWS, normal[1][0])},
        "swapped": {"x1": normal[2], "x2": normal[1]},
    }[method]
    alarms = run(StreamDetector(profile), stream(profile, **changed))
    assert {alarm.state for alarm in alarms} == {"data_fault"}
    assert alarms[0].signal == "data"
    assert alarms[0].method in (method, "out_of_range", "frozen")
    assert column in {feature for alarm in alarms for feature in alarm.features}
    assert alarms[0].detected_at <= START + (CHANGE + 2) * TILE


def test_column_of_another_type_is_a_change_of_schema_and_an_absent_one_is_missing(
    profile: StreamProfile,
) -> None:
    rows = table(50, 3, numbers=4, categories=1, prefix="f_", changed={"f_x3": pa.array(["?"] * 50)})
    for sent, method in ((rows, "schema"), (rows.drop_columns(["f_x3"]), "missing")):
        tile = profile.layout.count_batch(sent.combine_chunks().to_batches()[0])
        (alarm,) = StreamDetector(profile).step(tile)
        assert (alarm.method, alarm.features) == (method, ("x3",))


def test_many_small_shifts_raise_one_alarm() -> None:
    profile = StreamProfile.of(reference(20_000, 1, numbers=12), 1.0)
    rows = table(6_000, 2, numbers=12)
    rows = shifted(rows, {f"x{place}": 0.12 * (1 + place) for place in range(12)}, since=2_000)
    alarm = run(StreamDetector(profile), tiles(profile.layout, rows))[0]
    assert (alarm.method, alarm.signal) == ("many_columns", "feature")
    assert len(alarm.features) >= 1


def test_alarm_holds_its_column_for_a_window_then_it_alarms_again(profile: StreamProfile) -> None:
    detector = StreamDetector(profile)
    rows = shifted(table(ROWS, 2, numbers=4, categories=1), {"x2": 3.0}, since=0)
    found = tiles(profile.layout, rows)
    assert len(run(detector, found)) == 1
    later = [
        Tile(tile.start + 86_400_000_000, tile.end + 86_400_000_000, tile.rows, tile.counts) for tile in found
    ]
    assert len(run(detector, later)) == 1


@pytest.mark.parametrize("taken", [1, 41, 43])
def test_restored_detector_raises_the_same_alarms(profile: StreamProfile, taken: int) -> None:
    rows = shifted(table(ROWS, 2, numbers=4, categories=1), {"x2": 1.0, "x0": 0.2}, since=CHANGE * 50)
    found = tiles(profile.layout, rows)
    whole = StreamDetector(profile)
    alarms = run(whole, found)
    first = StreamDetector(profile)
    before = run(first, found[:taken])
    second = StreamDetector.restore(profile, {name: array.copy() for name, array in first.state().items()})
    assert before + run(second, found[taken:]) == alarms
    assert len(alarms) >= 1
    for name, array in second.state().items():
        assert np.array_equal(array, whole.state()[name], equal_nan=True), name


def test_state_of_another_profile_is_refused(profile: StreamProfile) -> None:
    other = StreamDetector(StreamProfile.of(reference(2_000, 1, numbers=2), 1.0))
    with pytest.raises(StateMismatch, match="does not fit"):
        StreamDetector.restore(profile, other.state())


def test_empty_tile_changes_nothing(profile: StreamProfile) -> None:
    detector = StreamDetector(profile)
    assert detector.step(Tile(0, 10, 0, np.zeros_like(profile.reference))) == ()
    assert detector.evidence() == {}


def test_evidence_is_relative_to_the_threshold(profile: StreamProfile) -> None:
    detector = StreamDetector(profile)
    rows = shifted(table(50, 2, numbers=4, categories=1), {"x2": 3.0}, since=0)
    detector.step(tiles(profile.layout, rows)[0])
    evidence = detector.evidence()
    assert max(evidence, key=lambda name: evidence[name]) == "x2"
    assert set(evidence) == {"x0", "x1", "x2", "x3", "c0", "score"}
