"""The cookie with a session's id.

HttpOnly: no script reads it. SameSite=Strict: the browser does not send it with requests that begin on another site. Over TLS it
is Secure and has the prefix `__Host-`, so that no other host can set it (draft-ietf-httpbis-rfc6265bis, 4.1.3). Cookies are not
separated by port: its name has the port, so that two consoles on one machine do not log each other's users out.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

from fastapi import Response

LOGIN_S: Final = 600
_SESSION, _LOGIN = "session", "login"


class SessionCookie:
    """Reads and sets the cookie, and the one of a login that is not finished.

    `is_secure`: browsers reach the console by https, also if a proxy speaks http with it.
    """

    def __init__(self, *, is_secure: bool) -> None:
        self._is_secure = is_secure

    def read(self, scope: MutableMapping[str, Any]) -> str:
        """The id in a request; empty for none, and for several: then somebody else has set one of them."""
        return _read(scope, self._name(scope, _SESSION))

    def read_login(self, scope: MutableMapping[str, Any]) -> str:
        """The secrets of a login with the identity provider that this browser has begun; empty for none."""
        return _read(scope, self._name(scope, _LOGIN))

    def set(self, response: Response, scope: MutableMapping[str, Any], identity: str) -> None:
        """Give the browser an id."""
        response.set_cookie(
            self._name(scope, _SESSION),
            identity,
            httponly=True,
            samesite="strict",
            path="/",
            secure=self._secure(scope),
        )

    def clear(self, response: Response, scope: MutableMapping[str, Any]) -> None:
        """Take the id from the browser."""
        response.delete_cookie(
            self._name(scope, _SESSION),
            httponly=True,
            samesite="strict",
            path="/",
            secure=self._secure(scope),
        )

    def remember_login(self, response: Response, scope: MutableMapping[str, Any], text: str) -> None:
        """Keep the secrets of a login while the person is at the provider. SameSite=Lax: they come back from another site."""
        response.set_cookie(
            self._name(scope, _LOGIN),
            text,
            max_age=LOGIN_S,
            httponly=True,
            samesite="lax",
            path="/",
            secure=self._secure(scope),
        )

    def forget_login(self, response: Response, scope: MutableMapping[str, Any]) -> None:
        """The login has ended, one way or the other."""
        response.delete_cookie(
            self._name(scope, _LOGIN), httponly=True, samesite="lax", path="/", secure=self._secure(scope)
        )

    def _secure(self, scope: MutableMapping[str, Any]) -> bool:
        return self._is_secure or scope.get("scheme") == "https"

    def _name(self, scope: MutableMapping[str, Any], what: str) -> str:
        if self._secure(scope):
            return f"__Host-homeostat_{what}"
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        port = host.rpartition(":")[2]
        return f"homeostat_{what}_{port if port.isdigit() else 80}"


def _read(scope: MutableMapping[str, Any], name: str) -> str:
    found = [
        value
        for header, text in scope["headers"]
        if header == b"cookie"
        for key, _, value in (part.strip().partition("=") for part in text.decode("latin-1").split(";"))
        if key == name
    ]
    return found[0] if len(found) == 1 else ""
