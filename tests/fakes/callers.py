"""Authenticators for tests that are not about access."""

from __future__ import annotations

from pathlib import Path

from shared.access.authenticator import Authenticator
from shared.access.caller import Caller
from shared.access.client_key import ClientKey
from shared.access.installation_keys import LOCAL, ensure_installation_keys, key_path
from shared.access.key_file import KeyFile
from shared.access.scope import Scope

ADMIN = Caller("admin", frozenset(Scope))


def local_headers(home: Path) -> dict[str, str]:
    """The headers of a request with the local key of an installation, which is made if it is missing."""
    ensure_installation_keys(home, home / "keys" / "api_keys.json")
    return ClientKey(local=key_path(home, LOCAL)).headers("http://127.0.0.1")


class Everyone(Authenticator):
    """Takes every request for one of `caller`, whatever credentials it has."""

    def __init__(self, caller: Caller = ADMIN) -> None:
        super().__init__(KeyFile(Path("no-such-file")), anonymous=True)
        self.caller = caller

    def authenticate(self, authorization: str | None, local_address: str = "") -> Caller:
        """The caller."""
        return self.caller
