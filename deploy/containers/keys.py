"""`python -m deploy.containers.keys`: creates the installation's keys once, before the services start.

1. Create the keys in `keys` if they do not exist.
2. Copy to a folder each what inference, prediction log and drift need, which they mount as their `keys`: an attacker in one of
   them can neither sign a version nor send the records of another.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from shared.errors import HomeostatError
from shared.files import write_atomic
from shared.models.signed_versions.installation_keys import Keys, ensure_keys
from shared.settings import HomeostatSettings


def key_folders(home: Path, keys: Keys) -> dict[Path, tuple[Path, ...]]:
    """The folders of the services that do not get all keys, and the keys of each."""
    return {
        home / "server-keys": (keys.prediction_id, keys.verifying),
        home / "log-keys": (keys.prediction_log,),
        home / "drift-keys": (keys.verifying, keys.verdicts),
    }


def copy_keys(paths: Sequence[Path], folder: Path) -> None:
    """Copy keys into `folder`, each file atomically. Raises HomeostatError if it has another key of that name.

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
        write_atomic(target, content, mode=path.stat().st_mode & 0o777)


def main() -> int:
    """Create the keys; existing keys are kept."""
    home = HomeostatSettings().home
    try:
        folders = key_folders(home, ensure_keys(home))
        for folder, paths in folders.items():
            copy_keys(paths, folder)
    except (HomeostatError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"keys: {home / 'keys'}, copies: {', '.join(map(str, folders))}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
