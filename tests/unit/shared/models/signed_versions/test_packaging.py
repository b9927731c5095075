"""Packaging a version: its files, its name, and what is refused."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import MANIFEST, REFERENCE, SIGNATURE, Manifest, Origin
from shared.contracts.version_files.names import ARCHIVE, MODEL
from shared.errors import ProjectError
from shared.models.signed_versions.installation_keys import Keys
from shared.models.signed_versions.packaging import package_version
from shared.models.signed_versions.verification import verify_version

Packaged = tuple[Path, Manifest]


def test_a_version_is_four_files_and_verifies(version: Packaged, keys: Keys) -> None:
    folder, manifest = version
    assert {path.name for path in folder.iterdir()} == {MODEL, REFERENCE, MANIFEST, SIGNATURE}
    assert manifest.files[MODEL].sha256 == sha256(b"the model").hexdigest()
    assert manifest.files[REFERENCE].size == len(b"the reference")
    assert verify_version(folder, version=manifest.version, verifying_key=keys.verifying) == manifest


def test_same_content_gives_the_same_version_name(
    version: Packaged, keys: Keys, loop_spec: LoopSpec, tmp_path: Path
) -> None:
    folder, manifest = version
    again = package_version(
        tmp_path / "again",
        loop=loop_spec,
        model=folder / MODEL,
        reference=folder / REFERENCE,
        origin=Origin(kind="deployment"),
        metrics={"log_loss": 0.5},
        signing_key=keys.signing,
    )
    assert again.version == manifest.version


def test_program_of_torch_keeps_its_format(
    version: Packaged, keys: Keys, loop_spec: LoopSpec, tmp_path: Path
) -> None:
    source = tmp_path / "network.pt2"
    source.write_bytes(b"the program")
    manifest = package_version(
        tmp_path / "torch",
        loop=loop_spec,
        model=source,
        reference=version[0] / REFERENCE,
        origin=Origin(kind="deployment"),
        metrics={},
        signing_key=keys.signing,
    )
    assert manifest.model_file == ARCHIVE
    assert (tmp_path / "torch" / ARCHIVE).read_bytes() == b"the program"


def test_missing_source_file_is_named(loop_spec: LoopSpec, keys: Keys, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"x")
    with pytest.raises(ProjectError, match=r"nowhere.parquet is missing.*reference.parquet"):
        package_version(
            tmp_path / "out",
            loop=loop_spec,
            model=tmp_path / "model",
            reference=tmp_path / "nowhere.parquet",
            origin=Origin(kind="deployment"),
            metrics={},
            signing_key=keys.signing,
        )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_non_finite_metric_is_refused_before_writing(
    loop_spec: LoopSpec, keys: Keys, tmp_path: Path, value: float
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(ProjectError, match="metric auc of the new version"):
        package_version(
            tmp_path / "out",
            loop=loop_spec,
            model=tmp_path / "file",
            reference=tmp_path / "file",
            origin=Origin(kind="deployment"),
            metrics={"auc": value},
            signing_key=keys.signing,
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
def test_source_that_is_no_regular_file_is_refused(
    loop_spec: LoopSpec, keys: Keys, tmp_path: Path, kind: str
) -> None:
    model, reference = tmp_path / "model.onnx", tmp_path / "reference.parquet"
    reference.write_bytes(b"rows")
    if kind == "fifo":
        os.mkfifo(model)
    elif kind == "link":
        (tmp_path / "secret").write_bytes(b"secret")
        model.symlink_to(tmp_path / "secret")
    else:
        model.mkdir()
    with pytest.raises(ProjectError, match="cannot be packaged"):
        package_version(
            tmp_path / "version",
            loop=loop_spec,
            model=model,
            reference=reference,
            origin=Origin(kind="deployment"),
            metrics={},
            signing_key=keys.signing,
        )
    assert not (tmp_path / "version" / MANIFEST).exists()
