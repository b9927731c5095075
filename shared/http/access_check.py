"""Authentication and authorization of every request, before a service sees it. An ASGI middleware."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any, Final

from shared.access.authenticator import Authenticator
from shared.access.caller import ANONYMOUS, Caller, Unauthenticated
from shared.access.directness import is_direct
from shared.access.route_table import PUBLIC, RouteTable
from shared.access.scope import Scope

# Where the caller is in the scope of a request.
CALLER: Final = "homeostat.caller"
# A function that raises Unauthenticated, NotPermitted or OperatorError once the caller may not send the request any more.
STILL_PERMITTED: Final = "homeostat.still_permitted"

Identify = Callable[[MutableMapping[str, Any]], Awaitable[Caller]]
IsDelegate = Callable[[str], Awaitable[bool]]


class AccessCheck:
    """Refuses requests whose caller lacks the scope of the route. `refuse` makes the response, `on_refused` counts the error.

    `identify` finds the caller of a request; by default by its `Authorization` header. It raises CallerError and OperatorError.
    `is_delegate` says of an authenticated name whether somebody delegated their scope to it: such a caller passes on the routes
    that the table names for that, and the service decides of what it is about.
    """

    def __init__(
        self,
        app: Any,
        *,
        routes: RouteTable,
        authenticator: Authenticator,
        refuse: Callable[[Exception, str], Any],
        identify: Identify | None = None,
        is_delegate: IsDelegate | None = None,
        on_refused: Callable[[Exception], None] = lambda _: None,
    ) -> None:
        self._app = app
        self._routes = routes
        self._authenticator = authenticator
        self._refuse = refuse
        self._on_refused = on_refused
        self._identify = identify or self._by_header
        self._is_delegate = is_delegate

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """ASGI."""
        app = self._app
        if scope["type"] == "http":
            needed = self._routes.scope_of(scope["method"], scope["path"])
            if needed is not PUBLIC:
                try:
                    caller = await self._identify(scope)
                    if needed in caller.scopes or not await self._has_delegation(scope, caller):
                        caller.require(needed)
                    caller.count()
                    scope[CALLER] = caller
                    scope[STILL_PERMITTED] = partial(self._check_again, scope, needed)
                except Exception as error:
                    self._on_refused(error)
                    app = self._refuse(error, scope["path"])
        await app(scope, receive, send)

    async def _has_delegation(self, scope: MutableMapping[str, Any], caller: Caller) -> bool:
        if self._is_delegate is None or caller.name == ANONYMOUS.name:
            return False
        if not self._routes.may_be_delegated(scope["method"], scope["path"]):
            return False
        return await self._is_delegate(caller.name)

    def _check_again(self, scope: MutableMapping[str, Any], needed: Scope) -> None:
        self._authenticator.authenticate(authorization(scope), local_address(scope)).require(needed)

    async def _by_header(self, scope: MutableMapping[str, Any]) -> Caller:
        return await self._authenticator.identify(authorization(scope), local_address(scope))


def authorization(scope: MutableMapping[str, Any]) -> str | None:
    """The `Authorization` header of a request. Raises Unauthenticated where there are several."""
    found = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(found) > 1:
        raise Unauthenticated("the request has several Authorization headers", hint="send one")
    return found[0].decode("latin-1") if found else None


def local_address(scope: MutableMapping[str, Any]) -> str:
    """Our end of the connection of a request; empty if unknown, or if the request was not sent by a program of this machine."""
    server = scope.get("server")
    return str(server[0]) if server and is_direct(scope["method"], scope["headers"]) else ""


def caller_of(scope: MutableMapping[str, Any]) -> Caller:
    """The caller that was authenticated. Raises KeyError on a public route."""
    caller: Caller = scope[CALLER]
    return caller
