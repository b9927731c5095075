"""Keys in files, for the processes and commands of one installation: made at its first start, readable by its user only.

Nobody has to handle them in local use. Whoever can read the files could read and change everything else in the home as well.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from shared.access.api_key import KEY_TEXT, ApiKey, make_key
from shared.access.key_file import KeyFile
from shared.access.scope import Scope
from shared.errors import OperatorError
from shared.files import read_regular, write_atomic

# Names of the keys and what each may do: least for those that only one process needs.
LOCAL: Final = "local"
ALERTMANAGER: Final = "alertmanager"
PROMETHEUS: Final = "prometheus"
CONSOLE: Final = "console"
INSTALLATION_KEYS: Final = {
    LOCAL: frozenset(Scope),
    ALERTMANAGER: frozenset({Scope.OPERATE}),
    PROMETHEUS: frozenset({Scope.READ}),
    CONSOLE: frozenset({Scope.READ}),
}


def key_path(home: Path, name: str) -> Path:
    """Where the key with a name is kept."""
    return home / "keys" / f"{name}.key"


def ensure_installation_keys(home: Path, key_file: Path) -> None:
    """Make the keys of the installation that are missing, revoked or expired. Safe to call from several processes.

    Raises OperatorError where the keys cannot be read or written.
    """
    try:
        with KeyFile(key_file).changing() as keys:
            now = datetime.now(UTC)
            for name, scopes in INSTALLATION_KEYS.items():
                path = key_path(home, name)
                if not _is_valid(path, keys, now):
                    key, text = make_key(name, scopes, now)
                    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                    write_atomic(path, f"{text}\n".encode(), mode=0o600)
                    keys[key.key_id] = key
    except OSError as error:
        raise OperatorError(
            f"the keys in {home / 'keys'} cannot be written: {error.strerror}",
            hint="set HOMEOSTAT_HOME to a folder that you can write to",
        ) from error


def _is_valid(path: Path, keys: dict[str, ApiKey], now: datetime) -> bool:
    found = KEY_TEXT.fullmatch(read_key_text(path) if path.exists() else "")
    key = keys.get(found[1]) if found else None
    return found is not None and key is not None and key.matches(found[2]) and not key.problem(now)


def read_key_text(path: Path) -> str:
    """The key in a file. Raises OperatorError."""
    try:
        return read_regular(path, maximum_bytes=16 << 10).decode("utf-8", "replace").strip()
    except OSError as error:
        raise OperatorError(
            f"the API key {path} cannot be read: {error.strerror}",
            hint="run this as the user of the installation, or set HOMEOSTAT_API_KEY",
        ) from error
