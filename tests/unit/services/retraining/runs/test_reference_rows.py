from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from services.retraining.runs.reference_rows import write_reference
from services.retraining.runs.workspace import RunFolder
from tests.fakes.class_lake import START
from tests.fakes.class_model import TABLE, class_loop, class_onnx
from tests.fakes.in_process_models import open_in_process


def test_reference_of_classes_has_the_answers_beside_the_outcomes(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    for path in (folder.train, folder.holdout, folder.reference):
        path.parent.mkdir(parents=True, exist_ok=True)
    moment = pa.array([START] * 3, pa.timestamp("us", "UTC"))
    rows = pa.table({"event_time": moment, "line": [0, 1, 2], "outcome": ["cat", "cat", "bird"]})
    pq.write_table(rows.slice(0, 2), folder.train)
    pq.write_table(rows.slice(2), folder.holdout)
    (tmp_path / "model.onnx").write_bytes(class_onnx())
    write_reference(folder, tmp_path / "model.onnx", class_loop(), max_rows=2, open_model=open_in_process)
    reference = pq.read_table(folder.reference)
    assert reference["outcome"].to_pylist() == ["cat", "bird"]
    assert reference["label"].to_pylist() == ["dog", "bird"]
    assert reference["score"].to_pylist() == [0.625, 0.625]
    assert reference["scores"].to_pylist() == TABLE[1:].tolist()
