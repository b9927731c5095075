"""What a version's manifest and signature cover: the digest of each file, and which files are signed."""

from __future__ import annotations

from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING

from shared.contracts.manifest import SIGNATURE, FileDigest
from shared.models.signed_versions.signing_library import prepare_signing_library

if TYPE_CHECKING:
    from model_signing.hashing import Config


def digest(content: bytes) -> FileDigest:
    """The digest of one file's content."""
    return FileDigest(sha256=sha256(content).hexdigest(), size=len(content))


def digest_of_file(path: Path) -> FileDigest:
    """The digest of a file, which is not read into memory as a whole. Raises OSError."""
    with path.open("rb") as file:
        return FileDigest(sha256=file_digest(file, "sha256").hexdigest(), size=file.tell())


def signed_files(folder: Path) -> Config:
    """Every file of the folder but the signature itself."""
    prepare_signing_library()
    from model_signing import hashing

    config = hashing.Config()  # type: ignore[no-untyped-call]
    config.set_ignored_paths(paths=[folder / SIGNATURE])
    return config
