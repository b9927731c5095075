"""Packaging and verifying a version: whatever is done to the folder afterwards is noticed before anything is used."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest
from model_signing import signing

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import ARCHIVE, MANIFEST, MODEL, REFERENCE, SIGNATURE, Manifest, Origin
from shared.errors import IntegrityError, ProjectError
from shared.models.keys import Keys, ensure_keys
from shared.models.packaging import package_version, verify_version

Packaged = tuple[Path, Manifest]


def flip_last_byte(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


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


@pytest.mark.parametrize("name", [MODEL, REFERENCE, MANIFEST, SIGNATURE])
def test_changed_byte_is_detected(version: Packaged, keys: Keys, name: str) -> None:
    folder, manifest = version
    flip_last_byte(folder / name)
    with pytest.raises(IntegrityError, match=manifest.version[:12]):
        verify_version(folder, version=manifest.version, verifying_key=keys.verifying)


@pytest.mark.parametrize("name", [MODEL, REFERENCE, MANIFEST, SIGNATURE])
def test_missing_file_is_detected(version: Packaged, keys: Keys, name: str) -> None:
    folder, manifest = version
    (folder / name).unlink()
    with pytest.raises(IntegrityError, match=name):
        verify_version(folder, version=manifest.version, verifying_key=keys.verifying)


def extra_file(folder: Path) -> None:
    (folder / "weights.bin").write_bytes(b"external data")


def hidden_file(folder: Path) -> None:
    (folder / ".weights").write_bytes(b"external data")


def extra_folder(folder: Path) -> None:
    (folder / "more").mkdir()
    (folder / "more" / "weights.bin").write_bytes(b"external data")


@pytest.mark.parametrize("add", [extra_file, hidden_file, extra_folder])
def test_extra_file_is_detected(version: Packaged, keys: Keys, add: Callable[[Path], None]) -> None:
    folder, manifest = version
    add(folder)
    with pytest.raises(IntegrityError, match="signature"):
        verify_version(folder, version=manifest.version, verifying_key=keys.verifying)


def test_signature_of_another_key_is_refused(version: Packaged, tmp_path: Path) -> None:
    folder, manifest = version
    stranger = ensure_keys(tmp_path / "stranger")
    with pytest.raises(IntegrityError, match="signature"):
        verify_version(folder, version=manifest.version, verifying_key=stranger.verifying)


def test_version_name_is_checked(version: Packaged, keys: Keys) -> None:
    """A folder that is whole and signed, but stands under another version's name."""
    folder, _ = version
    with pytest.raises(IntegrityError, match="another digest than the version's name"):
        verify_version(folder, version="0" * 64, verifying_key=keys.verifying)


def test_forged_manifest_fails_the_signature(version: Packaged, keys: Keys) -> None:
    folder, _ = version
    (folder / MODEL).write_bytes(b"the m0del")
    document: dict[str, Any] = orjson.loads((folder / MANIFEST).read_bytes())
    document["files"][MODEL]["sha256"] = sha256(b"the m0del").hexdigest()
    forged = Manifest.model_validate(document)
    (folder / MANIFEST).write_bytes(forged.to_bytes())
    with pytest.raises(IntegrityError, match="signature"):
        verify_version(folder, version=forged.version, verifying_key=keys.verifying)


def test_signature_over_other_bytes_is_refused(version: Packaged, keys: Keys) -> None:
    """Who holds the signing key still cannot put other bytes under an old name."""
    folder, manifest = version
    (folder / MODEL).write_bytes(b"the m0del")
    (folder / SIGNATURE).unlink()
    signer = signing.Config()  # type: ignore[no-untyped-call]
    signer.use_elliptic_key_signer(private_key=keys.signing).sign(folder, folder / SIGNATURE)
    with pytest.raises(
        IntegrityError, match=r"model.onnx of version .* has another digest than its manifest"
    ):
        verify_version(folder, version=manifest.version, verifying_key=keys.verifying)


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
