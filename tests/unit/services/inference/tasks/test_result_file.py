from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.inference.tasks.record import FileOptions
from services.inference.tasks.result_file import ResultFile
from shared.errors import Conflict
from tests.fakes.class_model import put_classes, serving_classes
from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ROW, ToyStore
from tests.fakes.vector_model import embedding_loop, serving, values_loop
from tests.unit.services.inference.tasks.scoring import score_table


def test_labels_have_their_type_of_the_loop(toys: ToyStore, tmp_path: Path) -> None:
    server = serving_classes(toys, labels=(3, 5, 8))
    table = score_table(server, pa.table({"line": [1, 2]}), tmp_path)
    assert table["label"].to_pylist() == [5, 8]
    assert table["score"].to_pylist() == [0.625, 0.625]
    assert table["scores"].to_pylist()[0] == [0.25, 0.625, 0.125]


def test_values_are_by_name(toys: ToyStore, tmp_path: Path) -> None:
    table = score_table(serving(toys, values_loop()), pa.table({"line": [0, 1]}), tmp_path)
    assert table["values"].to_pylist() == [
        {"low": 1.0, "mid": 2.0, "high": 4.0},
        {"low": -1.0, "mid": 0.5, "high": 8.0},
    ]


def test_embeddings_are_lists(toys: ToyStore, tmp_path: Path) -> None:
    table = score_table(serving(toys, embedding_loop()), pa.table({"line": [2]}), tmp_path)
    assert table["embedding"].to_pylist() == [[10.0, 20.0, 40.0]]


def test_answers_in_another_form_end_the_file(toys: ToyStore, tmp_path: Path) -> None:
    server = serving_classes(toys)
    result = ResultFile(tmp_path / "result")
    score_table(server, pa.table({"line": [1]}), tmp_path, result=result)
    toys.release(put_classes(toys, labels=(1, 2, 3)).version, model="animals")
    server.poller.poll()
    with pytest.raises(Conflict, match="generation 2 of model animals returns other output columns"):
        score_table(server, pa.table({"line": [1]}), tmp_path, result=result)
    result.close()
    assert pq.read_table(tmp_path / "result")["label"].to_pylist() == ["dog"]


def test_no_answer_is_no_file(tmp_path: Path) -> None:
    ResultFile(tmp_path / "result").close()
    assert not (tmp_path / "result").exists()


def test_failed_group_leaves_the_others_in_the_result(toys: ToyStore, tmp_path: Path) -> None:
    toys.put_and_release(0.5)
    server = InferenceServer(toys)
    result = ResultFile(tmp_path / "result")
    times = pa.array([1_767_225_600, 1_767_225_601, 1_767_225_602], pa.timestamp("s", "UTC"))
    table = pa.table({name: [value] * 3 for name, value in ROW.items()} | {"at": times})
    predict, calls = server.predictor.predict, []

    async def failing(servable, batch, **more):  # type: ignore[no-untyped-def]
        calls.append(batch)
        if len(calls) == 2:
            raise ValueError("a bug")
        return await predict(servable, batch, **more)

    server.predictor.predict = failing  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="a bug"):
        score_table(server, table, tmp_path, FileOptions(event_time_column="at"), result=result)
    result.close()
    assert pq.read_table(tmp_path / "result")["row"].to_pylist() == [0, 2]
    assert sum(len(record["prediction_ids"]) for record in server.spool.predictions) == 2
