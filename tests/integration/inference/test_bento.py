"""`bentoml build` of the repository, and `bentoml serve` of what it built."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import bentoml
import pytest

from tests.fakes.toy_model import ROW, ToyStore
from tests.integration.inference.conftest import ROOT, InferenceProcess
from tests.waiting import bound

TAG = "homeostat-inference:test"
DESCRIPTION = "Serves predictions; `/status` lists the live models."


@pytest.fixture(scope="module")
def bento_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BentoML's folder, with a Bento of this repository in it."""
    home = tmp_path_factory.mktemp("bentoml")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("bentoml")), "build", "--version", "test", "--output", "tag"],
        cwd=ROOT,
        env={**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"},
        capture_output=True,
        text=True,
        timeout=bound(120),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert TAG in done.stdout
    return home


@pytest.fixture(scope="module")
def source(bento_home: Path) -> Path:
    return bento_home / "bentos" / "homeostat-inference" / "test" / "src"


def test_bento_holds_what_inference_needs_and_nothing_else(source: Path) -> None:
    assert sorted(path.name for path in source.iterdir()) == [
        "LICENSE",
        "bentofile.yaml",
        "services",
        "shared",
    ]
    assert sorted(path.name for path in (source / "services").iterdir()) == ["__init__.py", "inference"]
    packed = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    wanted = {
        path.relative_to(ROOT)
        for folder in ("services/inference", "shared")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed - {Path("LICENSE"), Path("bentofile.yaml"), Path("services/__init__.py")} == wanted
    requirements = (source.parent / "env" / "python" / "requirements.txt").read_text()
    assert "onnxruntime" in requirements
    assert "--hash=sha256:" in requirements


def test_built_bento_is_served(bento_home: Path, source: Path, toys: ToyStore, tmp_path: Path) -> None:
    # The repository is importable too: what is served says whose code it is.
    entry = source / "services" / "inference" / "service.py"
    text = entry.read_text(encoding="utf-8")
    assert DESCRIPTION in text
    entry.write_text(text.replace(DESCRIPTION, "Built for a test."), encoding="utf-8")
    release = toys.put_and_release(0.25, kind="probability")
    server = InferenceProcess(toys.home, served=TAG, folder=tmp_path, BENTOML_HOME=str(bento_home))
    try:
        server.wait_live()
        server.wait_served(release.version)
        with bentoml.SyncHTTPClient(server.url) as client:
            assert client.predict(rows=[ROW])["predictions"][0]["score"] == 0.25
        assert server.http.get("/schema.json").json()["description"] == "Built for a test."
        assert server.http.get("/status").status_code == 200
        assert Path(server.worker().cwd()) == source
    finally:
        server.stop()
