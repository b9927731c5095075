"""Packaging and verifying versions: digests in a manifest and an OpenSSF model signature."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from hashlib import sha256
from math import isfinite
from pathlib import Path

from model_signing import hashing, signing, verifying

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import (
    ARCHIVE,
    MANIFEST,
    MODEL,
    REFERENCE,
    SIGNATURE,
    FileDigest,
    Manifest,
    Origin,
    short,
)
from shared.errors import IntegrityError, ProjectError

_HINT = "restore the version folder from a backup, or release another version"


def package_version(
    folder: Path,
    *,
    loop: LoopSpec,
    model: Path,
    reference: Path,
    origin: Origin,
    metrics: Mapping[str, float],
    signing_key: Path,
) -> Manifest:
    """Write a complete, signed version into the empty or new `folder`; its name is `manifest.version`.

    `model`: a program of torch.export if its name ends with .pt2, else a model of ONNX.

    1. copy the files   2. write the manifest with their digests   3. sign everything
    """
    for name, value in metrics.items():
        if not isfinite(value):
            raise ProjectError(
                f"metric {name} of the new version is {value}",
                hint="write only finite numbers to metrics.json",
            )
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    model_file = ARCHIVE if model.suffix == Path(ARCHIVE).suffix else MODEL
    for name, source in ((model_file, model), (REFERENCE, reference)):
        if not source.is_file():
            raise ProjectError(f"{source} is missing", hint=f"a version needs {name}")
        shutil.copyfile(source, folder / name)
        files[name] = _digest((folder / name).read_bytes())
    manifest = Manifest(model=loop.model, loop=loop, files=files, origin=origin, metrics=dict(metrics))
    (folder / MANIFEST).write_bytes(manifest.to_bytes())
    signer = signing.Config()  # type: ignore[no-untyped-call]
    signer.use_elliptic_key_signer(private_key=signing_key).set_hashing_config(_hashing(folder))
    signer.sign(folder, folder / SIGNATURE)
    return manifest


def verify_version(folder: Path, *, version: str, verifying_key: Path) -> Manifest:
    """Check every byte of a version folder before anything in it is used. Raises IntegrityError.

    1. the manifest's digest is the version's name   2. every file has its digest   3. the signature is valid, no file is extra
    """
    try:
        manifest = Manifest.from_bytes((folder / MANIFEST).read_bytes(), version=version)
        for name, expected in manifest.files.items():
            if _digest((folder / name).read_bytes()) != expected:
                raise IntegrityError(
                    f"{name} of version {short(version)} has another digest than its manifest", hint=_HINT
                )
    except OSError as error:
        raise IntegrityError(f"version {short(version)} has no file {error.filename}", hint=_HINT) from error
    try:
        verifier = verifying.Config()  # type: ignore[no-untyped-call]
        verifier.use_elliptic_key_verifier(public_key=verifying_key).set_hashing_config(_hashing(folder))
        verifier.verify(folder, folder / SIGNATURE)
    except (
        Exception
    ) as error:  # the library raises ValueError, OSError, JSON and key errors alike; all mean: do not use it
        raise IntegrityError(
            f"the signature of version {short(version)} is not valid: {error}", hint=_HINT
        ) from error
    return manifest


def _digest(content: bytes) -> FileDigest:
    return FileDigest(sha256=sha256(content).hexdigest(), size=len(content))


def _hashing(folder: Path) -> hashing.Config:
    config = hashing.Config()  # type: ignore[no-untyped-call]
    config.set_ignored_paths(paths=[folder / SIGNATURE])
    return config
