"""Files with secrets that services share: how they are named and read.

Shipper and sink need these alone, and their images have no cryptography.
"""

from __future__ import annotations

import re
from pathlib import Path

from shared.errors import OperatorError

PREDICTION_LOG = "prediction_log.key"
VERDICTS = "verdicts.key"
PSEUDONYMS = "pseudonyms.key"
SECRET_BYTES = 32
_RECORD_SECRET = re.compile(rf"[0-9a-fA-F]{{{2 * SECRET_BYTES}}}")


def read_key(path: Path) -> bytes:
    """The bytes of a key. Raises OperatorError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise OperatorError(
            f"the key {path} cannot be read: {error.strerror}",
            hint="`homeostat up` creates the keys; or restore them from a backup",
        ) from error


def record_secrets(path: Path) -> tuple[bytes, ...]:
    """The secrets in a file of record keys, the current one first. Raises OperatorError where one is missing or malformed."""
    lines = read_key(path).decode("ascii", "replace").split()
    if not lines or any(_RECORD_SECRET.fullmatch(line) is None for line in lines):
        raise OperatorError(
            f"the key {path} is malformed, expected lines of {2 * SECRET_BYTES} hexadecimal digits",
            hint="restore it from a backup; `openssl rand -hex 32` makes a new line",
        )
    return tuple(bytes.fromhex(line) for line in lines)
