"""Signatures of release log entries, with the key pair that signs versions.

A signature covers every field, so an entry counts under its own model and generation only: a copy of an old entry does not put
its version back. Each entry also names the digest of the entry before it, which shows where the log was changed or cut.
Form: ECDSA on P-256 with SHA-256 (FIPS 186-5), base64, over the entry as JSON with sorted keys and without `signature`.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import sha256

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared.contracts.release import Release
from shared.errors import IntegrityError, OperatorError
from shared.models.signed_versions.installation_keys import Keys

RELEASE_LOG_HINT = "restore the release log from a backup, or release a version again"


def sign_release(release: Release, keys: Keys) -> Release:
    """The entry with its signature. Raises OperatorError without the private key."""
    try:
        key = serialization.load_pem_private_key(keys.signing.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise OperatorError(
            f"the key {keys.signing} cannot be read: {error}", hint="restore it from a backup"
        ) from error
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signature = key.sign(_signed_bytes(release), ec.ECDSA(hashes.SHA256()))
    return release.model_copy(update={"signature": b64encode(signature).decode()})


def verify_release(release: Release, keys: Keys) -> None:
    """Raises IntegrityError unless this installation has signed the entry, OperatorError without the public key."""
    name = f"release {release.generation} of {release.model}"
    if not release.signature:
        raise IntegrityError(f"{name} is not signed", hint=RELEASE_LOG_HINT)
    try:
        key = serialization.load_pem_public_key(keys.verifying.read_bytes())
    except (OSError, ValueError) as error:
        raise OperatorError(
            f"the key {keys.verifying} cannot be read: {error}", hint="restore it from a backup"
        ) from error
    assert isinstance(key, ec.EllipticCurvePublicKey)
    try:
        key.verify(
            b64decode(release.signature, validate=True), _signed_bytes(release), ec.ECDSA(hashes.SHA256())
        )
    except (InvalidSignature, ValueError) as error:
        raise IntegrityError(
            f"{name} is not signed with the key of this installation, or was changed", hint=RELEASE_LOG_HINT
        ) from error


def entry_digest(content: bytes) -> str:
    """The digest of an entry's file, which the next entry names."""
    return sha256(content).hexdigest()


def _signed_bytes(release: Release) -> bytes:
    return orjson.dumps(release.model_dump(mode="json", exclude={"signature"}), option=orjson.OPT_SORT_KEYS)
