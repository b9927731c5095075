"""Triton's model configuration."""

from __future__ import annotations

from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ToyStore
from tests.fakes.vector_model import serving, values_loop


def test_config_describes_inputs_and_outputs(toys: ToyStore) -> None:
    release = toys.put_and_release(0.5, kind="probability")
    server = InferenceServer(toys, maximum_rows=500)
    config = server.ask("GET", "/v2/models/toy/config").json()
    assert config == {
        "name": "toy",
        "platform": "onnxruntime_onnx",
        "backend": "onnxruntime",
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": 500,
        "input": [
            {"name": "amount", "data_type": "TYPE_FP32", "dims": [], "optional": True},
            {"name": "count", "data_type": "TYPE_INT64", "dims": [], "optional": False},
            {"name": "member", "data_type": "TYPE_BOOL", "dims": [], "optional": False},
            {"name": "colour", "data_type": "TYPE_STRING", "dims": [], "optional": False},
        ],
        "output": [
            {"name": "score", "data_type": "TYPE_FP32", "dims": []},
            {"name": "prediction_id", "data_type": "TYPE_STRING", "dims": []},
        ],
        "parameters": {
            "version": {"string_value": release.version},
            "generation": {"string_value": "1"},
            "kind": {"string_value": "probability"},
            "precision": {"string_value": "fp32"},
            "runtime": {"string_value": "onnxruntime"},
        },
    }
    by_version = server.ask("GET", f"/v2/models/toy/versions/{release.version}/config")
    assert by_version.json() == config
    assert server.ask("GET", f"/v2/models/toy/versions/{'0' * 64}/config").status_code == 404


def test_rows_of_numbers_have_their_width(toys: ToyStore) -> None:
    config = serving(toys, values_loop()).ask("GET", "/v2/models/ranges/config").json()
    assert config["output"][0] == {"name": "numbers", "data_type": "TYPE_FP32", "dims": [3]}
