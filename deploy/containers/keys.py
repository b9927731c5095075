"""`python -m deploy.containers.keys`: creates the installation's keys once, before the services start.

1. Create the keys in `keys` if they do not exist.
2. Copy to a folder each what inference, prediction log and drift need, which they mount as their `keys`: an attacker in one of
   them can neither sign a version nor send the records of another.
3. Write what Prometheus and Alertmanager, which run as another user, need for their login: a hash of the password.
4. Let the services accept the API keys in the secrets of the composition; keys that are no longer there are revoked.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import yaml

from local_stack.observability.web_config import web_config
from shared.access.api_key import key_of
from shared.access.installation_keys import (
    ALERTMANAGER,
    CONSOLE,
    INSTALLATION_KEYS,
    LOCAL,
    PROMETHEUS,
    read_key_text,
)
from shared.access.key_file import KeyFile, key_file_path
from shared.errors import HomeostatError
from shared.files import write_atomic
from shared.models.signed_versions.installation_keys import Keys, ensure_keys
from shared.observability.monitoring_login import USER, MonitoringLogin, read_password
from shared.settings import HomeostatSettings

SECRETS = Path("/run/secrets")
PASSWORD = SECRETS / "monitoring_password"
# Where compose.tls.yaml mounts them.
CERTIFICATE, CERTIFICATE_KEY, CA = "/run/tls/server.pem", "/run/tls/server.key", "/run/tls/ca.pem"
# The key of people who run the composition may do what the local key may.
API_KEYS = {"admin": INSTALLATION_KEYS[LOCAL]} | {
    name: INSTALLATION_KEYS[name] for name in (PROMETHEUS, ALERTMANAGER, CONSOLE)
}


def key_folders(home: Path, keys: Keys) -> dict[Path, tuple[Path, ...]]:
    """The folders of the services that do not get all keys, and the keys of each."""
    return {
        home / "server-keys": (keys.prediction_id, keys.verifying, keys.pseudonyms),
        home / "log-keys": (keys.prediction_log,),
        home / "drift-keys": (keys.verifying, keys.verdicts, keys.prediction_log),
    }


def copy_keys(paths: Sequence[Path], folder: Path) -> None:
    """Copy keys into `folder`, each file atomically; equal ones are left alone.

    Raises HomeostatError if it has another key of that name.

    Secrets of records may be added at the top of their file: the old ones stay below until every service has the new one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        target, content = folder / path.name, path.read_bytes()
        if target.exists() and not content.endswith(target.read_bytes()):
            raise HomeostatError(
                f"{target} differs from {path}",
                hint="restore the volumes keys, server_keys, log_keys and drift_keys from the same copy",
            )
        if not target.exists() or target.read_bytes() != content:
            write_atomic(target, content, mode=path.stat().st_mode & 0o777)


def write_monitoring(folder: Path, secrets: Path) -> None:
    """Write the web configurations of Prometheus and Alertmanager, and the files with which their health checks log in.

    They hold no secret, only the hash of the password. Raises HomeostatError.
    """
    login = MonitoringLogin(USER, read_password(secrets / PASSWORD.name))
    client: dict[str, object] = {"basic_auth": {"username": login.user, "password_file": str(PASSWORD)}}
    tls = {"HOMEOSTAT_TLS_CERTIFICATE": CERTIFICATE, "HOMEOSTAT_TLS_KEY": CERTIFICATE_KEY}
    texts = {
        "web.yml": web_config(login, {}),
        "web.tls.yml": web_config(login, tls),
        "client.yml": yaml.safe_dump(client),
        "client.tls.yml": yaml.safe_dump({**client, "tls_config": {"ca_file": CA}}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o055 != 0o055:  # a volume begins as the image's folder, which is 0750
        folder.chmod(0o755)
    for name, text in texts.items():
        write_atomic(folder / name, text.encode(), mode=0o644)


def accept_api_keys(key_file: Path, secrets: Path) -> None:
    """Store the digests of the API keys in `secrets`, with the scopes of their names. Raises HomeostatError."""
    texts = {name: read_key_text(secrets / f"{name}_key") for name in API_KEYS}
    with KeyFile(key_file).changing() as keys:
        now = datetime.now(UTC)
        given = {
            key.key_id: key
            for name, text in texts.items()
            for key in [key_of(name, API_KEYS[name], text, now)]
        }
        for key in list(keys.values()):
            if key.name in API_KEYS and key.key_id not in given and key.revoked_at is None:
                keys[key.key_id] = replace(key, revoked_at=now)
        keys.update({key_id: key for key_id, key in given.items() if key_id not in keys})


def main() -> int:
    """Create the keys; existing keys are kept."""
    settings = HomeostatSettings()
    home = settings.home
    try:
        folders = key_folders(home, ensure_keys(home))
        for folder, paths in folders.items():
            copy_keys(paths, folder)
        write_monitoring(home / "monitoring", SECRETS)
        accept_api_keys(key_file_path(settings), SECRETS)
    except (HomeostatError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"keys: {home / 'keys'}, copies: {', '.join(map(str, folders))}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
