"""A snapshot read back is the snapshot written; anything else is no snapshot, and runs nothing."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from services.drift.stream_monitor import snapshot as snapshots
from services.drift.stream_monitor.snapshot import Snapshot, UnreadableSnapshot
from shared.messaging.interfaces import TopicIdentity
from tests.unit.services.drift.stream_monitor.streams import eventful, new_state, records, stream

TOPIC = TopicIdentity("cluster", "topic")


def written() -> Snapshot:
    state = new_state()
    found = [
        suspicion
        for record in records(stream(), eventful(3), 40)
        for suspicion in state.add(record).suspicions
    ]
    assert found
    generations = {key: one.state() for key, one in state.generations.items()}
    return Snapshot(TOPIC, {0: 7, 2: 9}, state.numbers.as_mapping(), tuple(found), generations)


def test_everything_comes_back(tmp_path: Path) -> None:
    before, path = written(), tmp_path / "drift" / "stream.npz"
    assert snapshots.load(path) is None
    snapshots.save(path, before)
    after = snapshots.load(path)
    assert after is not None
    assert (after.identity, after.positions, after.numbers, after.suspicions) == (
        before.identity, before.positions, before.numbers, before.suspicions
    )  # fmt: skip
    assert list(after.generations) == list(before.generations)
    for key, arrays in before.generations.items():
        assert {name: array.dtype for name, array in arrays.items()} == {
            name: array.dtype for name, array in after.generations[key].items()
        }
        assert all(np.array_equal(array, after.generations[key][name]) for name, array in arrays.items())


def test_another_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = written().to_bytes()
    monkeypatch.setattr(snapshots, "FORMAT", snapshots.FORMAT + 1)
    with pytest.raises(UnreadableSnapshot, match="format"):
        Snapshot.from_bytes(content)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('executed')",)


def test_objects_in_a_snapshot_are_not_loaded() -> None:
    file = io.BytesIO()
    np.savez(file, about=np.array([Bomb()], dtype=object))
    with pytest.raises(UnreadableSnapshot):
        Snapshot.from_bytes(file.getvalue())
    with pytest.raises(UnreadableSnapshot):
        Snapshot.from_bytes(pickle.dumps(Bomb()))


def test_half_a_snapshot_is_refused() -> None:
    content = written().to_bytes()
    for size in (0, 10, len(content) // 2, len(content) - 30):
        with pytest.raises(UnreadableSnapshot):
            Snapshot.from_bytes(content[:size])
