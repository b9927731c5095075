"""Verifies a version folder before use: the name, the digest of each file, and the signature."""

from __future__ import annotations

from pathlib import Path

from shared.contracts.manifest import MANIFEST, SIGNATURE, Manifest, short
from shared.errors import IntegrityError
from shared.models.signed_versions.digests import digest_of_file, signed_files
from shared.models.signed_versions.signing_library import prepare_signing_library

_HINT = "restore the version folder from a backup, or release another version"


def verify_version(folder: Path, *, version: str, verifying_key: Path) -> Manifest:
    """Check every byte of a version folder before anything in it is used. Raises IntegrityError.

    1. the manifest's digest is the version's name   2. every file has its digest   3. the signature is valid, no file is extra
    """
    try:
        manifest = Manifest.from_bytes((folder / MANIFEST).read_bytes(), version=version)
        for name, expected in manifest.files.items():
            if digest_of_file(folder / name) != expected:
                raise IntegrityError(
                    f"{name} of version {short(version)} has another digest than its manifest", hint=_HINT
                )
    except OSError as error:
        raise IntegrityError(f"version {short(version)} has no file {error.filename}", hint=_HINT) from error
    prepare_signing_library()
    from model_signing import verifying

    try:
        verifier = verifying.Config()  # type: ignore[no-untyped-call]
        verifier.use_elliptic_key_verifier(public_key=verifying_key).set_hashing_config(signed_files(folder))
        verifier.verify(folder, folder / SIGNATURE)
    except (
        Exception
    ) as error:  # the library raises ValueError, OSError, JSON and key errors alike; all mean: do not use it
        raise IntegrityError(
            f"the signature of version {short(version)} is not valid: {error}", hint=_HINT
        ) from error
    return manifest
