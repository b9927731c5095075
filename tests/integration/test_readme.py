"""What README and docs show of a request is tried on a real server: code runs, answers have the form that is shown."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnx
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.loop_yaml import read_loop_spec
from shared.contracts.manifest import Origin
from shared.contracts.release import Release
from shared.models.signed_versions.installation_keys import ensure_keys
from shared.models.signed_versions.packaging import package_version
from shared.stores.model_store import open_model_store
from tests.integration.inference.conftest import InferenceProcess, spooled
from tests.waiting import bound

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SCORE = 0.25
TYPES = {"number": TensorProto.FLOAT, "integer": TensorProto.INT64, "category": TensorProto.STRING}


def block(language: str, holding: str) -> str:
    """The README's block of a language that holds a text."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return next(text for text in found if holding in text)


def posted_row() -> dict[str, Any]:
    """The row of the README's `curl`."""
    body = re.search(r"-d '(.*?)'", block("bash", "/predict"), re.DOTALL)
    assert body is not None
    row: dict[str, Any] = orjson.loads(body[1])["rows"][0]
    return row


def same_answer(spec: LoopSpec) -> bytes:
    """A model with the project's inputs that answers SCORE for every row."""
    inputs = [helper.make_tensor_value_info(one.name, TYPES[one.type], ["rows"]) for one in spec.features]
    value = helper.make_tensor("value", TensorProto.FLOAT, [1], [SCORE])
    nodes = [
        helper.make_node("Shape", [spec.features[0].name], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["score"], value=value),
    ]
    output = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["rows"])
    graph = helper.make_graph(nodes, "same_answer", inputs, [output])
    model: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    ).SerializeToString()
    onnx.checker.check_model(model)
    return model


def release_flights(home: Path) -> str:
    """A first release of the example's model; its version."""
    spec = read_loop_spec(ROOT / "examples" / "flights")
    moment = datetime(2013, 1, 14, tzinfo=UTC)
    row = {**posted_row(), "event_time": moment, "outcome": 0.0, "prediction_id": "", "score": SCORE}
    (home / "model.onnx").write_bytes(same_answer(spec))
    pq.write_table(pa.Table.from_pylist([row] * 100), home / "reference.parquet")
    manifest = package_version(
        home / "version",
        loop=spec,
        model=home / "model.onnx",
        reference=home / "reference.parquet",
        origin=Origin(kind="deployment"),
        metrics={},
        signing_key=ensure_keys(home).signing,
    )
    store = open_model_store((home / "models").as_uri(), ensure_keys(home))
    store.put_version("flights", manifest.version, home / "version")
    store.add_release(
        Release(
            model="flights",
            generation=1,
            version=manifest.version,
            reason="deployment",
            actor="somebody",
            released_at=moment,
        )
    )
    return manifest.version


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InferenceProcess]:
    """A server with the example's model, as far as the README is concerned."""
    home = tmp_path_factory.mktemp("readme")
    version = release_flights(home)
    server = InferenceProcess(home)
    try:
        server.wait_live()
        server.wait_served(version, "flights")
        yield server
    finally:
        server.stop()


def test_the_python_of_the_readme_runs_as_written(server: InferenceProcess) -> None:
    program = block("python", "/predict").replace("http://localhost:8000", server.url)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=bound(60))
    assert done.returncode == 0, done.stderr
    version = server.served("flights")["version"]
    assert done.stdout == f"{SCORE} by version {version[:12]}\n"
    kinds = {type(record).__name__ for record in spooled(server.home)}
    assert kinds == {"PredictionRecord", "OutcomeRecord"}


def test_the_client_of_the_readme_runs_as_written(server: InferenceProcess) -> None:
    row = f"row = {posted_row()!r}\n"
    program = row + block("python", "homeostat.Client").replace("http://localhost:8000", server.url)
    before = len(spooled(server.home))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=bound(60))
    assert done.returncode == 0, done.stderr
    kinds = [type(record).__name__ for record in spooled(server.home)[before:]]
    assert kinds == ["PredictionRecord", "OutcomeRecord"]


def test_the_example_of_the_client_page_runs_as_written(server: InferenceProcess) -> None:
    page = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
    [program] = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    program = program.replace("http://localhost:8000", server.url)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=bound(60))
    assert done.returncode == 0, done.stderr
    version = server.served("flights")["version"][:12]
    assert [line.split()[1:] for line in done.stdout.splitlines()] == [[str(SCORE), version, "1"]] * 2


def test_the_answer_has_the_form_that_is_shown(server: InferenceProcess) -> None:
    shown = orjson.loads(block("json", "predictions"))
    answer = server.http.post("/predict", json={"model": "flights", "rows": [posted_row()]})
    assert answer.status_code == 200, answer.text
    given = answer.json()
    assert list(given) == list(shown)
    assert list(given["predictions"][0]) == list(shown["predictions"][0])
    for name in ("version", "generation", "model"):
        assert type(given[name]) is type(shown[name])
    assert len(given["version"]) == len(shown["version"])
    assert len(given["predictions"][0]["prediction_id"]) == len(shown["predictions"][0]["prediction_id"])


def test_the_error_that_is_shown_is_the_one_given(server: InferenceProcess) -> None:
    page = (ROOT / "docs" / "contracts.md").read_text(encoding="utf-8")
    shown = re.search(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert shown is not None
    answer = server.http.post(
        "/predict", json={"model": "flights", "rows": [{**posted_row(), "origin": "LGW"}]}
    )
    assert (answer.status_code, answer.json()) == (422, orjson.loads(shown[1]))
