"""One function as `model.onnx` and as `model.pt2`: the same signature, answers, log, deployment checks and swaps."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.version_files.names import ARCHIVE, MODEL
from shared.models.probe import probe
from shared.models.runners.loading import load_model
from tests.fakes.inference_server import InferenceServer
from tests.fakes.linear_model import linear_file, linear_loop, linear_rows, put_linear
from tests.fakes.torch_archive import archive
from tests.fakes.toy_model import ToyStore

ROWS = [{"amount": 0.25, "count": 3}, {"amount": -7.5, "count": -2}, {"amount": 1e6, "count": 0}]


def served(toys: ToyStore, name: str) -> InferenceServer:
    toys.release(put_linear(toys, name, 2.0).version, model="linear")
    return InferenceServer(toys)


def without_identity(value: Any) -> Any:
    """A body without what differs between versions and calls."""
    if isinstance(value, dict):
        changing = {"prediction_id", "version", "versions", "model_version", "platform", "backend", "runtime"}
        if value.get("name") == "prediction_id":
            changing.add("data")
        return {key: without_identity(item) for key, item in value.items() if key not in changing}
    return [without_identity(item) for item in value] if isinstance(value, list) else value


def everything(server: InferenceServer) -> list[Any]:
    """What a client sees and what the log holds."""
    tensors = {
        "inputs": [
            {"name": "amount", "datatype": "FP32", "shape": [2], "data": [0.5, 1.5]},
            {"name": "count", "datatype": "INT64", "shape": [2], "data": [1, 2]},
        ]
    }
    answers = [
        server.predict(*ROWS),
        server.predict(ROWS[0]),
        server.predict({"amount": "much", "count": 1}),
        server.predict({"amount": 3e38, "count": 1}),  # the score is infinite
        server.ask("POST", "/v2/models/linear/infer", json=tensors),
        server.ask("GET", "/v2/models/linear"),
        server.ask("GET", "/v2/models/linear/config"),
    ]
    logged = [
        {
            name: list(record[name]) if name == "scores" else record[name]
            for name in ("model", "generation", "scores", "columns")
        }
        for record in server.spool.predictions
    ]
    return [*((answer.status_code, without_identity(answer.json())) for answer in answers), logged]


def test_both_formats_answer_and_log_alike(tmp_path: Path) -> None:
    onnx, torch = (
        everything(served(ToyStore(tmp_path / name.partition(".")[2]), name)) for name in (MODEL, ARCHIVE)
    )
    assert torch == onnx
    assert onnx[0][1]["predictions"][0]["score"] == 3.5


def test_metadata_names_the_runtime(tmp_path: Path) -> None:
    toys = ToyStore(tmp_path)
    server = served(toys, MODEL)
    assert server.ask("GET", "/v2/models/linear").json()["platform"] == "onnxruntime_onnx"
    toys.release(put_linear(toys, ARCHIVE, 2.0).version, model="linear")
    server.poller.poll()
    assert server.ask("GET", "/v2/models/linear").json()["platform"] == "pytorch_pt2"
    assert server.ask("GET", "/v2/models/linear/config").json()["backend"] == "pytorch"


@pytest.mark.parametrize("name", [MODEL, ARCHIVE])
def test_both_formats_pass_the_checks_of_a_deployment(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(linear_file(name, 2.0))
    loop, rows = linear_loop(), linear_rows(2.0)
    model = load_model(tmp_path / name, loop)
    probe(model.outputs, loop.features, loop.prediction, rows)
    assert model.score(rows).tolist() == rows["score"].to_pylist()


def test_hostile_archive_leaves_the_live_version(tmp_path: Path) -> None:
    toys = ToyStore(tmp_path)
    server = served(toys, ARCHIVE)

    def change(document: Any) -> None:
        document["graph_module"]["graph"]["nodes"][0]["target"] = "torch.ops.aten.save.default"

    toys.release(put_linear(toys, ARCHIVE, 3.0, raw=archive(change)).version, model="linear")
    server.poller.poll()
    assert re.search("operator.*save", server.ask("GET", "/status.json").json()["models"][0]["last_error"])
    assert server.predict(ROWS[0]).json()["predictions"][0]["score"] == 3.5
