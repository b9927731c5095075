"""A small model project's specification, its keys and a packaged version: the nouns the tests of `shared` speak of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import Manifest, Origin
from shared.models.signed_versions.installation_keys import Keys, ensure_keys
from shared.models.signed_versions.packaging import package_version


@pytest.fixture
def loop_document() -> dict[str, Any]:
    """The least `loop.yaml` that is complete, as the mapping YAML would give."""
    return {
        "model": "flights",
        "features": [
            {"name": "distance", "type": "number", "minimum": 0, "maximum": 5000},
            {"name": "carrier", "type": "category", "values": ["AA", "UA"]},
        ],
        "prediction": {"kind": "probability"},
        "outcome": {"delay": "1d"},
        "metric": {"name": "log_loss"},
        "drift": {"window": {"every": "7d"}},
        "retraining": {"command": ["python", "train.py"]},
        "gate": {"holdout": "7d"},
    }


@pytest.fixture
def loop_spec(loop_document: dict[str, Any]) -> LoopSpec:
    """The same, parsed."""
    return LoopSpec.model_validate(loop_document)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Keys of an installation of the test's own."""
    return ensure_keys(tmp_path / "home")


@pytest.fixture
def version(tmp_path: Path, loop_spec: LoopSpec, keys: Keys) -> tuple[Path, Manifest]:
    """A packaged, signed version: folder and manifest. Its files are any bytes: packaging does not look inside."""
    model, reference = tmp_path / "source.onnx", tmp_path / "source.parquet"
    model.write_bytes(b"the model")
    reference.write_bytes(b"the reference")
    folder = tmp_path / "version"
    manifest = package_version(
        folder,
        loop=loop_spec,
        model=model,
        reference=reference,
        origin=Origin(kind="deployment"),
        metrics={"log_loss": 0.5},
        signing_key=keys.signing,
    )
    return folder, manifest
