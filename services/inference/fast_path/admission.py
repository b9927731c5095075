"""Who may be answered by the fast path, decided once for each header block. The ordinary path refuses all others."""

from __future__ import annotations

from collections.abc import Sequence

from shared.access.authenticator import Authenticator
from shared.access.grant import Grant
from shared.access.scope import Scope

_AUTHORIZATION = b"authorization"


class Admission:
    """Permissions to request predictions."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def without_credentials(self, server: tuple[str, int | None] | None) -> bool:
        """Whether requests without credentials may be answered on a connection to this address of ours (None: unknown)."""
        return Scope.PREDICT in self._authenticator.anonymous(server[0] if server else "").scopes

    def of_credentials(self, headers: Sequence[tuple[bytes, bytes]]) -> tuple[bool, Grant | None]:
        """Whether the headers have credentials, and what they permit: None if nothing, or if they are not to be remembered."""
        given = [value for name, value in headers if name == _AUTHORIZATION]
        if len(given) != 1:
            return bool(given), None
        return True, self._authenticator.grant(given[0].decode("latin-1"), Scope.PREDICT)
