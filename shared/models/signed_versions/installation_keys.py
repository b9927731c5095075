"""The installation's keys: a key pair that signs versions, and secrets that authenticate prediction ids and Kafka records."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared.errors import OperatorError
from shared.files import create_atomic
from shared.models.signed_versions.key_files import (
    PREDICTION_LOG,
    PSEUDONYMS,
    SECRET_BYTES,
    VERDICTS,
    read_key,
)

_SIGNING = "signing.pem"
_VERIFYING = "signing.pub"
_PREDICTION_ID = "prediction_id.key"


@dataclass(frozen=True)
class Keys:
    """Paths of the keys. Each process needs only some:

    inference: `verifying`, `prediction_id`, `pseudonyms`. Shipper and sink: `prediction_log`. Drift: `verifying`, `verdicts`,
    `prediction_log`. Retraining: all but `prediction_log` and `pseudonyms`. Only packaging a version needs `signing`.
    """

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

    @property
    def prediction_log(self) -> Path:
        """The secrets of records that shipper and sink send: a line each of 64 hexadecimal digits, the current one first."""
        return self.folder / PREDICTION_LOG

    @property
    def verdicts(self) -> Path:
        """The secrets of verdicts, in the same form."""
        return self.folder / VERDICTS

    @property
    def pseudonyms(self) -> Path:
        """The secrets of pseudonyms of personal values, in the same form."""
        return self.folder / PSEUDONYMS

    def prediction_id_secret(self) -> bytes:
        """The 32-byte secret of prediction ids. Raises OperatorError where it is missing or has another length."""
        path = self.prediction_id
        secret = read_key(path)
        if len(secret) != SECRET_BYTES:  # with an empty key anyone could make ids
            raise OperatorError(
                f"the key {path} has {len(secret)} bytes, expected {SECRET_BYTES}",
                hint="restore it from a backup",
            )
        return secret


def ensure_keys(home: Path) -> Keys:
    """The keys below `home`; missing ones are created. Safe to call from several threads, processes and containers at once.

    A folder that holds some keys without the private one was made for a service that needs no others: nothing is added to it.
    Nor to one with the key pair that cannot be written to: a mounted secret has the keys that its service needs.
    """
    folder = home / "keys"
    keys = Keys(folder)
    if not keys.signing.exists() and keys.verifying.exists():
        return keys
    secrets = (keys.prediction_id, keys.prediction_log, keys.verdicts, keys.pseudonyms)
    if all(path.exists() for path in (keys.signing, keys.verifying, *secrets)):
        return keys
    if keys.signing.exists() and keys.verifying.exists() and not os.access(folder, os.W_OK):
        return keys
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _create(keys.prediction_id, os.urandom(SECRET_BYTES))
    for path in (keys.prediction_log, keys.verdicts, keys.pseudonyms):
        _create(path, f"{os.urandom(SECRET_BYTES).hex()}\n".encode())
    _create_pair(keys)
    return keys


def _create_pair(keys: Keys) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    _create(
        keys.signing,
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
    # Derived from the private key on disk, so that concurrent starts never leave a mismatched pair.
    winner = serialization.load_pem_private_key((keys.signing).read_bytes(), password=None)
    _create(
        keys.verifying,
        winner.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        mode=0o644,
    )


def _create(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write `content` atomically unless the file exists."""
    if not path.exists():
        create_atomic(path, content, durable=True, mode=mode)
