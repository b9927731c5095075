"""The installation's keys: a key pair that signs versions, and a secret that authenticates prediction ids."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared.errors import OperatorError
from shared.files import create_atomic

_SIGNING = "signing.pem"
_VERIFYING = "signing.pub"
_PREDICTION_ID = "prediction_id.key"
_SECRET_BYTES = 32


@dataclass(frozen=True)
class Keys:
    """Paths of the keys. Servers need `verifying` and the prediction id secret; packaging a version needs `signing`."""

    folder: Path

    @property
    def signing(self) -> Path:
        """Private key (EC P-256, PEM)."""
        return self.folder / _SIGNING

    @property
    def verifying(self) -> Path:
        """Public key (PEM)."""
        return self.folder / _VERIFYING

    @property
    def prediction_id(self) -> Path:
        """The secret that authenticates prediction ids (32 bytes)."""
        return self.folder / _PREDICTION_ID

    def prediction_id_secret(self) -> bytes:
        """The 32-byte secret of prediction ids. Raises OperatorError where it is missing or has another length."""
        path = self.prediction_id
        try:
            secret = path.read_bytes()
        except OSError as error:
            raise OperatorError(
                f"the key {path} cannot be read: {error.strerror}",
                hint="`homeostat up` creates the keys; or restore them from a backup",
            ) from error
        if len(secret) != _SECRET_BYTES:  # with an empty key anyone could make ids
            raise OperatorError(
                f"the key {path} has {len(secret)} bytes, expected {_SECRET_BYTES}",
                hint="restore it from a backup",
            )
        return secret


def ensure_keys(home: Path) -> Keys:
    """The keys below `home`; missing ones are created. Safe to call from several threads, processes and containers at once.

    A server needs only the public key and the prediction id secret; its folder may be read-only.
    """
    folder = home / "keys"
    keys = Keys(folder)
    if (
        keys.verifying.exists() and keys.prediction_id.exists()
    ):  # the public key is created last, so all exist
        return keys
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _create(keys.prediction_id, os.urandom(_SECRET_BYTES))
    private = ec.generate_private_key(ec.SECP256R1())
    _create(
        folder / _SIGNING,
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
    # Derived from the private key on disk, so that concurrent starts never leave a mismatched pair.
    winner = serialization.load_pem_private_key((folder / _SIGNING).read_bytes(), password=None)
    _create(
        folder / _VERIFYING,
        winner.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        mode=0o644,
    )
    return keys


def _create(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write `content` atomically unless the file exists."""
    if not path.exists():
        create_atomic(path, content, durable=True, mode=mode)
