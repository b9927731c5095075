"""The target of fault injection: the version that inference serves, complete and signed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from local_stack.fault_injection.target import Target, find_target
from shared.errors import CallerError, IntegrityError, NotFound
from shared.http.service_client import ServiceClient
from tests.fakes.toy_model import ToyStore, toy_onnx
from tests.unit.cli.fake_service import FakeService, fake_service


@pytest.fixture
def inference() -> Iterator[FakeService]:
    with fake_service() as fake:
        yield fake


def serve(inference: FakeService, **versions: str) -> None:
    models = [{"name": name, "version": version, "generation": 3} for name, version in versions.items()]
    inference.answers["GET /status.json"] = (200, {"models": models})


def find(inference: FakeService, toys: ToyStore, model: str = "") -> Target:
    with ServiceClient("inference", inference.url) as client:
        return find_target(client, toys.store, toys.keys, model, seed=0)


def test_served_version_is_read(inference: FakeService, tmp_path: Path) -> None:
    toys = ToyStore(tmp_path)
    first, second = toys.put_and_release(0.25), toys.put_and_release(0.75)
    serve(inference, toy=first.version)
    found = find(inference, toys)
    assert (found.model, found.version, found.generation) == ("toy", first.version, 3)
    assert found.version != second.version
    assert found.reference["score"].to_pylist() == [0.25] * 30
    # A model that answers the same to everything depends on nothing.
    assert found.weights == {"amount": 0.0, "count": 0.0, "member": 0.0, "colour": 0.0}


def test_feature_weights_follow_the_score(inference: FakeService, tmp_path: Path) -> None:
    inputs = [
        helper.make_tensor_value_info(name, kind, ["N"])
        for name, kind in (
            ("amount", TensorProto.FLOAT),
            ("count", TensorProto.INT64),
            ("member", TensorProto.BOOL),
            ("colour", TensorProto.STRING),
        )
    ]
    nodes = [
        helper.make_node("Cast", ["count"], ["score"], to=TensorProto.FLOAT),
    ]
    output = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N"])
    graph = helper.make_graph(nodes, "counts", inputs, [output])
    raw = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    toys = ToyStore(tmp_path)
    release = toys.put_and_release(0.0, raw=raw.SerializeToString())
    serve(inference, toy=release.version)
    weights = find(inference, toys).weights
    assert max(weights, key=lambda name: weights[name]) == "count"
    assert weights["amount"] == weights["colour"] == 0.0


def test_several_models_need_a_name(inference: FakeService, tmp_path: Path) -> None:
    toys = ToyStore(tmp_path)
    one, two = toys.put_and_release(0.25, model="one"), toys.put_and_release(0.75, model="two")
    serve(inference, one=one.version, two=two.version)
    with pytest.raises(CallerError, match="one, two"):
        find(inference, toys)
    assert find(inference, toys, "two").version == two.version
    with pytest.raises(NotFound, match="does not serve three"):
        find(inference, toys, "three")


def test_no_served_model_is_an_error(inference: FakeService, tmp_path: Path) -> None:
    serve(inference)
    with pytest.raises(NotFound, match="no model") as refused:
        find(inference, ToyStore(tmp_path))
    assert "homeostat deploy" in refused.value.hint


def test_changed_version_is_not_loaded(inference: FakeService, tmp_path: Path) -> None:
    toys = ToyStore(tmp_path)
    release = toys.put_and_release(0.25)
    path = tmp_path / "models" / "toy" / "versions" / release.version / "model.onnx"
    path.write_bytes(toy_onnx(0.75))
    serve(inference, toy=release.version)
    with pytest.raises(IntegrityError):
        find(inference, toys)
