"""Clients of the Open Inference Protocol: tritonclient (sync and asyncio), KServe's, and MLServer's codecs."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from ml_dtypes import bfloat16
from tritonclient.utils import InferenceServerException

from tests.clients.conftest import Run, Served


def tensor(name: str, array: Any, datatype: str, *, binary: bool = True, module: Any = triton) -> Any:
    made = module.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def toy_inputs(*, binary: bool = True, module: Any = triton) -> list[Any]:
    return [
        tensor("amount", np.array([1.0, 2.0], np.float32), "FP32", binary=binary, module=module),
        tensor("count", np.array([[1], [2]], np.int64), "INT64", binary=binary, module=module),
        tensor("member", np.array([True, False]), "BOOL", binary=binary, module=module),
        tensor("colour", np.array(["red", "green"], object), "BYTES", binary=binary, module=module),
    ]


def lines(*numbers: int) -> list[Any]:
    return [tensor("line", np.array(numbers, np.int64), "INT64")]


def test_metadata_config_and_index(served: Served) -> None:
    with triton.InferenceServerClient(served.address) as client:
        extensions = client.get_server_metadata()["extensions"]
        assert extensions == [
            "binary_tensor_data",
            "classification",
            "model_configuration",
            "model_repository",
            "statistics",
        ]
        for version in ("", served.version):
            assert client.is_model_ready("toy", version)
            metadata = client.get_model_metadata("toy", version)
            config = client.get_model_config("toy", version)
            assert metadata["versions"] == [served.version]
            for key, part in {"inputs": "input", "outputs": "output"}.items():
                assert [one["name"] for one in config[part]] == [one["name"] for one in metadata[key]]
                assert [one["dims"] for one in config[part]] == [one["shape"][1:] for one in metadata[key]]
        index = {one["name"]: one["state"] for one in client.get_model_repository_index()}
        assert index == dict.fromkeys(("animals", "parcels", "pixels", "ranges", "toy"), "READY")
        with pytest.raises(InferenceServerException, match="homeostat deploy"):
            client.load_model("toy")
        with pytest.raises(InferenceServerException, match="homeostat rollback"):
            client.unload_model("toy")


def test_infer_of_a_version_counts_in_the_statistics(served: Served) -> None:
    with triton.InferenceServerClient(served.address) as client:
        before = client.get_inference_statistics("toy", served.version)["model_stats"][0]
        result = client.infer("toy", toy_inputs(), model_version=served.version)
        with pytest.raises(InferenceServerException, match="is not loaded; the live version is"):
            client.infer("toy", toy_inputs(), model_version="0" * 64)
        entries = client.get_inference_statistics()["model_stats"]
    after = next(one for one in entries if one["name"] == "toy")
    assert after["inference_count"] == before["inference_count"] + 2
    assert after["execution_count"] == before["execution_count"] + 1
    fails = [one["inference_stats"]["fail"]["count"] for one in (before, after)]
    assert fails[1] == fails[0] + 1
    ids = [one.decode() for one in result.as_numpy("prediction_id")]
    assert [served.takes_outcome(one, 1) for one in ids] == [True, True]


def test_tensors_of_every_number(served: Served) -> None:
    pixels = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    with triton.InferenceServerClient(served.address) as client:
        floats = {"FP32": "f4", "FP64": "f8", "FP16": "f2", "BF16": bfloat16}
        for datatype, dtype in {**floats, "UINT8": "u1", "INT64": "i8"}.items():
            result = client.infer("pixels", [tensor("image", pixels.astype(dtype), datatype)])
            assert result.as_numpy("score").tolist() == [2.5, 8.5], datatype


@pytest.mark.parametrize("binary", [True, False])
def test_several_outputs_and_top_classes(served: Served, binary: bool) -> None:
    with triton.InferenceServerClient(served.address) as client:
        result = client.infer(
            "animals",
            lines(2, 0),
            outputs=[triton.InferRequestedOutput(name, binary) for name in ("label", "probabilities")],
        )
        assert result.as_numpy("label").astype(str).tolist() == ["bird", "cat"]
        assert result.as_numpy("probabilities").tolist() == [[0.125, 0.25, 0.625], [0.75, 0.125, 0.125]]
        assert result.as_numpy("score") is None
        ids = result.get_response()["parameters"]["prediction_id"].split(",")
        assert served.takes_outcome(ids[0], "dog")
        top = client.infer(
            "animals",
            lines(2),
            outputs=[triton.InferRequestedOutput("probabilities", binary, class_count=2)],
        )
        assert top.as_numpy("probabilities").astype(str).tolist() == [["0.625000:2:bird", "0.250000:1:dog"]]


def test_errors_say_what_was_expected(served: Served) -> None:
    count = tensor("count", np.array([1.0, 2.0], np.float32), "FP32")
    with triton.InferenceServerClient(served.address) as client:
        with pytest.raises(
            InferenceServerException, match="input count has datatype FP32.*expected datatype INT64"
        ):
            client.infer("toy", [one for one in toy_inputs() if one.name() != "count"] + [count])
        with pytest.raises(
            InferenceServerException, match="unknown output 'logits'; expected one of score, prediction_id"
        ):
            client.infer("toy", toy_inputs(), outputs=[triton.InferRequestedOutput("logits")])
        region = toy_inputs()[0].set_shared_memory("region", 8)
        with pytest.raises(InferenceServerException, match="shared_memory_.*is not supported"):
            client.infer("toy", [region, *toy_inputs()[1:]])


def test_asyncio_client(served: Served) -> None:
    async def ask() -> list[str]:
        async with triton_aio.InferenceServerClient(served.address) as client:
            assert await client.is_server_ready()
            assert await client.is_model_ready("toy", served.version)
            assert (await client.get_model_config("toy"))["name"] == "toy"
            assert (await client.get_inference_statistics("toy"))["model_stats"][0]["name"] == "toy"
            assert len(await client.get_model_repository_index()) == 5
            results = await asyncio.gather(
                *(
                    client.infer(
                        "toy",
                        toy_inputs(binary=binary, module=triton_aio),
                        request_compression_algorithm=algorithm,
                    )
                    for binary in (True, False)
                    for algorithm in (None, "gzip", "deflate")
                )
            )
            with pytest.raises(InferenceServerException, match="model 'nobody' is not loaded"):
                await client.infer("nobody", toy_inputs(module=triton_aio))
        assert all(result.as_numpy("score").tolist() == [0.25, 0.25] for result in results)
        return [one.decode() for result in results for one in result.as_numpy("prediction_id")]

    ids = asyncio.run(ask())
    assert len(set(ids)) == 12
    assert served.takes_outcome(ids[-1], 0)


def test_kserve_client(served: Served, run: Run) -> None:
    found = run("kserve")
    assert [found.pop(name) for name in ("live", "ready", "toy is ready", "nobody is ready")] == [
        True,
        True,
        True,
        False,
    ]
    assert found.pop("half floats") == [2.5]
    assert found.pop("unknown model").startswith("model 'nobody' is not loaded; loaded models: animals, ")
    assert found.pop("wrong datatype").startswith(
        "input count has datatype FP32, but feature count is of type integer; expected datatype INT64 "
    )
    forms = [
        f"binary {binary}, output {output}" for binary in (False, True) for output in (None, False, True)
    ]
    assert list(found) == forms
    for answer in found.values():
        assert (answer["id"], answer["model"], answer["score"]) == ("seven", "toy", [0.25, 0.25])
        assert all(served.takes_outcome(one, 1) for one in answer["prediction_ids"])


def test_mlserver_codecs(served: Served, run: Run) -> None:
    found = run("mlserver")
    assert [served.takes_outcome(one, 1) for one in found.pop("prediction_ids")] == [True, True]
    assert found == {
        "frame": ["score", "prediction_id"],
        "frame scores": [0.25, 0.25],
        "columns": [0.25, 0.25],
        "id": "seven",
        "version": served.version,
        "image": [2.5, 8.5],
        "probabilities": [[0.125, 0.25, 0.625], [0.75, 0.125, 0.125]],
        "labels": ["bird", "cat"],
        "server": "homeostat",
        "inputs": ["amount", "count", "member", "colour"],
        "index": dict.fromkeys(("animals", "parcels", "pixels", "ranges", "toy"), "READY"),
    }
