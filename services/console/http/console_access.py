"""Who sends a request to the console: a program with an `Authorization` header, or a person with a session.

The console has no right of its own to act. It keeps the credential of the person in the session and sends it on with each
action, so that the other services authenticate the person themselves.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

from services.console.http.session_cookie import SessionCookie
from services.console.sessions.renewal import TokenRenewal
from services.console.sessions.session_store import SessionStore
from shared.access.authenticator import Authenticator
from shared.access.caller import Caller, Unauthenticated
from shared.http.access_check import authorization, local_address

# Where the header with the credential of the caller is in the scope of a request; empty for an anonymous one.
CREDENTIAL: Final = "homeostat.credential"
# The page refreshes itself: that nobody uses it shows in what is missing besides.
_UNATTENDED = frozenset({"/main"})


class ConsoleAccess:
    """Authenticates requests of programs and of sessions."""

    def __init__(
        self,
        authenticator: Authenticator,
        sessions: SessionStore,
        cookie: SessionCookie,
        renewal: TokenRenewal | None = None,
    ) -> None:
        self._authenticator = authenticator
        self._sessions = sessions
        self._cookie = cookie
        self._renewal = renewal

    async def identify(self, scope: MutableMapping[str, Any]) -> Caller:
        """The caller. A session whose credential is not accepted any more ends here. Raises Unauthenticated, OperatorError."""
        header = authorization(scope)
        if header is None:
            identity = self._cookie.read(scope)
            session = self._sessions.find(identity, is_use=scope["path"] not in _UNATTENDED)
            if session is not None:
                if self._renewal is not None:
                    await self._renewal.keep_current(session)
                try:
                    caller: Caller | None = await self._authenticator.identify(session.authorization)
                except Unauthenticated:
                    self._sessions.end(identity)
                    caller = None
                if caller is not None and caller.name != session.name:  # a renewed token of somebody else
                    self._sessions.end(identity)
                elif caller is not None:
                    scope[CREDENTIAL] = session.authorization
                    return caller
        scope[CREDENTIAL] = header or ""
        return await self._authenticator.identify(header, local_address(scope))


def credential_of(scope: MutableMapping[str, Any]) -> str:
    """The `Authorization` header of the caller that was identified; empty for an anonymous one."""
    return str(scope[CREDENTIAL])
