"""`python -m deploy.containers.keys`: make the installation's keys, once; a one-shot before the services start.

1. The keys below `keys` are made where there are none.
2. What a server needs goes to `server-keys` too: the public half and the secret of the prediction ids. Servers and drift see
   that folder as their `keys`: who breaks into a server cannot sign a version.
"""

from __future__ import annotations

import sys
from pathlib import Path

from shared.errors import HomeostatError
from shared.files import write_atomic
from shared.models.keys import Keys, ensure_keys
from shared.settings import HomeostatSettings

SERVER_KEYS = "server-keys"


def copy_for_servers(keys: Keys, folder: Path) -> None:
    """Put into `folder` what a server needs, each file atomically; what is there already must be the same."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (keys.prediction_id, keys.verifying):
        target, content = folder / path.name, path.read_bytes()
        if target.exists() and target.read_bytes() != content:
            raise HomeostatError(
                f"{target} is another key than {path}",
                hint="restore both volumes, keys and server_keys, from the same copy",
            )
        write_atomic(target, content, mode=path.stat().st_mode & 0o777)


def main() -> int:
    """Make them; twice is harmless."""
    home = HomeostatSettings().home
    try:
        copy_for_servers(ensure_keys(home), home / SERVER_KEYS)
    except (HomeostatError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"keys: {home / 'keys'}, what servers need of them: {home / SERVER_KEYS}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
