"""Rows of a subject on the spool, while its shipper works."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from shared.spool import SpoolWriter, erasure
from shared.spool.erasure import erase_in_spool
from shared.spool.reader import SpoolReader
from shared.spool.record import PredictionRecord
from shared.spool.segment import list_segments

TIME = datetime(2026, 3, 1, tzinfo=UTC)


def test_segment_that_the_shipper_deletes_meanwhile_is_left_out(
    root: Path, spool: SpoolWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.append_predictions(
        model="loans", version="v", generation=1, event_time=TIME, answered_at=TIME, prediction_ids=["p"], scores=[0.5],
        columns={"customer": ["anna"]},
    )  # fmt: skip
    spool.close()
    (folder,) = (path for path in root.iterdir() if path.is_dir())
    listed = list_segments(folder)
    assert listed

    def list_and_ship(folder: Path) -> object:
        for segment, _ in listed:
            (folder / segment.filename).unlink()
        return listed

    monkeypatch.setattr(erasure, "list_segments", list_and_ship)
    assert erase_in_spool(root, lambda row, head: True, lambda model: frozenset(), dry_run=False) == (0, 0)
    assert list_segments(folder) == []


def test_personal_tensors_of_a_row_are_blanked(root: Path, spool: SpoolWriter) -> None:
    faces = np.arange(1, 13, dtype=np.float32).reshape(3, 2, 2)
    spool.append_predictions(
        model="loans", version="v", generation=1, event_time=TIME, answered_at=TIME, prediction_ids=["p", "q", "r"],
        scores=[0.5] * 3, columns={"image": faces + 100, "Face": faces, "customer": ["anna", "ben", "anna"]},
        vectors=faces[:, 0],
    )  # fmt: skip
    spool.close()
    names = frozenset({"face", "customer"})
    done = erase_in_spool(
        root, lambda row, head: head["columns"]["customer"][row] == "anna", lambda model: names, dry_run=False
    )
    assert done == (2, 0)
    (entry,) = SpoolReader(root / spool.writer).read()
    assert isinstance(entry.record, PredictionRecord)
    assert entry.record.columns["customer"] == ["", "ben", ""]
    assert entry.record.tensors["Face"].tolist() == [
        np.zeros((2, 2)).tolist(),
        faces[1].tolist(),
        np.zeros((2, 2)).tolist(),
    ]
    assert np.array_equal(entry.record.tensors["image"], faces + 100)
    assert entry.record.vectors is not None
    assert np.array_equal(entry.record.vectors, faces[:, 0])
