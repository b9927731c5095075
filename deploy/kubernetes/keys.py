"""`python -m deploy.kubernetes.keys SECRET`: creates the installation's keys in a Secret, before the services start.

1. Read the Secret; its entries become files of a temporary folder.
2. Create the keys that are missing: the signing key and the secrets of an installation, and an API key each for people,
   Prometheus, Alertmanager and the console.
3. Let the services accept those API keys: `api_keys.json`. API keys that were added to it stay.
4. Write the Secret if something was missing. What is in it is never replaced.

Pods mount single entries of the Secret: only retraining and the command line get the signing key.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.containers.keys import API_KEYS, accept_api_keys
from deploy.kubernetes.secret_api import SecretApi, open_secret_api
from shared.access.api_key import make_key
from shared.access.key_file import FILE_NAME
from shared.access.key_log import SUFFIX
from shared.errors import HomeostatError
from shared.files import keep_files_private
from shared.models.signed_versions.installation_keys import ensure_keys


def completed(entries: Mapping[str, bytes], home: Path) -> dict[str, bytes]:
    """The entries with those that were missing; `home` is an empty folder. Raises HomeostatError."""
    folder = home / "keys"
    folder.mkdir(parents=True)
    for name, content in entries.items():
        (folder / name).write_bytes(content)
    ensure_keys(home)
    for name, scopes in API_KEYS.items():
        path = folder / f"{name}_key"
        if not path.exists():
            path.write_text(make_key(name, scopes, datetime.now(UTC))[1])
    accept_api_keys(folder / FILE_NAME, folder)
    kept = [path for path in folder.iterdir() if not path.name.startswith(".") and path.suffix != SUFFIX]
    return {path.name: path.read_bytes() for path in kept}


def ensure_secret(api: SecretApi, name: str) -> bool:
    """Create the Secret, or what is missing in it; whether anything was. Raises HomeostatError."""
    found = api.read(name)
    entries = dict(found.entries) if found is not None else {}
    with TemporaryDirectory() as home:
        wanted = completed(entries, Path(home))
    if found is None:
        api.create(name, wanted)
    elif wanted != entries:
        api.replace(name, wanted, found.version)
    return found is None or wanted != entries


def main(arguments: list[str]) -> int:
    """Create the keys; existing keys are kept."""
    if len(arguments) != 1:
        print("usage: python -m deploy.kubernetes.keys SECRET", file=sys.stderr)
        return 2
    keep_files_private()
    try:
        made = ensure_secret(open_secret_api(), arguments[0])
    except (HomeostatError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"keys in the secret {arguments[0]}: {'created' if made else 'complete'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
