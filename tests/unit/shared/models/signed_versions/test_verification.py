"""Verifying a version: whatever is done to the folder afterwards is noticed before anything is used."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest

from shared.contracts.manifest import MANIFEST, REFERENCE, SIGNATURE, Manifest
from shared.contracts.version_files.names import MODEL
from shared.errors import IntegrityError
from shared.models.signed_versions.installation_keys import Keys, ensure_keys
from shared.models.signed_versions.signing_library import prepare_signing_library
from shared.models.signed_versions.verification import verify_version

Packaged = tuple[Path, Manifest]


def flip_last_byte(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


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
    prepare_signing_library()
    from model_signing import signing

    signer = signing.Config()  # type: ignore[no-untyped-call]
    signer.use_elliptic_key_signer(private_key=keys.signing).sign(folder, folder / SIGNATURE)
    with pytest.raises(
        IntegrityError, match=r"model.onnx of version .* has another digest than its manifest"
    ):
        verify_version(folder, version=manifest.version, verifying_key=keys.verifying)
