"""The key that a command or a service sends to our services: a given one, else that of the local installation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from shared.access.installation_keys import LOCAL, key_path, read_key_text
from shared.access.listener_owner import foreign_listener
from shared.access.loopback import is_loopback
from shared.errors import OperatorError

KEY_VARIABLE: Final = "HOMEOSTAT_API_KEY"
FILE_VARIABLE: Final = "HOMEOSTAT_API_KEY_FILE"


@dataclass(frozen=True)
class ClientKey:
    """`given`: the key to send to every address. `local`: the file of the key that never leaves this machine."""

    given: str = ""
    local: Path | None = None

    def for_url(self, url: str) -> str:
        """The key to send to a URL; empty for none.

        Raises OperatorError where the file cannot be read, or where another user listens on the port: any user may take the port
        of a service that is stopped, and would get the key.
        """
        if self.given:
            return self.given
        if self.local is None or not is_loopback(urlsplit(url).hostname or "") or not self.local.exists():
            return ""
        if found := foreign_listener(url, {self.local.stat().st_uid}):
            port, user = found
            raise OperatorError(
                f"port {port} is served by another user (id {user}) than the owner of {self.local}; "
                "the key was not sent",
                hint="check who listens there with `ss -ltnp`; or give a key of that service in HOMEOSTAT_API_KEY",
            )
        return read_key_text(self.local)

    def headers(self, url: str) -> dict[str, str]:
        """The headers of a request to a URL. Raises as `for_url` does."""
        key = self.for_url(url)
        return {"Authorization": f"Bearer {key}"} if key else {}


def find_client_key(home: Path, environment: Mapping[str, str]) -> ClientKey:
    """1. the key in `HOMEOSTAT_API_KEY`   2. that in the file `HOMEOSTAT_API_KEY_FILE`   3. the local key of `home`.

    Raises OperatorError where the file of the second cannot be read.
    """
    if key := environment.get(KEY_VARIABLE, "").strip():
        return ClientKey(key)
    if file := environment.get(FILE_VARIABLE, "").strip():
        text = read_key_text(Path(file))
        if not text:
            raise OperatorError(
                f"the API key file {file} is empty", hint=f"put a key there, or unset {FILE_VARIABLE}"
            )
        return ClientKey(text)
    return ClientKey(local=key_path(home, LOCAL))
