"""`python -m deploy.containers.keys`: creates the installation's keys once, before the services start.

1. Create the keys in `keys` if they do not exist.
2. Copy the keys that a server needs to `server-keys`: the public key and the secret of the prediction ids. Inference and drift
   mount that folder as their `keys`, so an attacker on a server cannot sign a version.
"""

from __future__ import annotations

import sys
from pathlib import Path

from shared.errors import HomeostatError
from shared.files import write_atomic
from shared.models.signed_versions.installation_keys import Keys, ensure_keys
from shared.settings import HomeostatSettings

SERVER_KEYS = "server-keys"


def copy_for_servers(keys: Keys, folder: Path) -> None:
    """Copy the keys that a server needs into `folder`, each file atomically. Raises HomeostatError if it has other keys."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (keys.prediction_id, keys.verifying):
        target, content = folder / path.name, path.read_bytes()
        if target.exists() and target.read_bytes() != content:
            raise HomeostatError(
                f"{target} differs from {path}",
                hint="restore both volumes, keys and server_keys, from the same copy",
            )
        write_atomic(target, content, mode=path.stat().st_mode & 0o777)


def main() -> int:
    """Create the keys; existing keys are kept."""
    home = HomeostatSettings().home
    try:
        copy_for_servers(ensure_keys(home), home / SERVER_KEYS)
    except (HomeostatError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"keys: {home / 'keys'}, keys for servers: {home / SERVER_KEYS}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
