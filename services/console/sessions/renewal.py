"""Keeps the access token of a session current, where the identity provider gave a token to renew it with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from services.console.sessions.oidc_client import OidcClient
from services.console.sessions.session_store import Session
from shared.access.caller import Unauthenticated
from shared.errors import DependencyUnavailable
from shared.observability.logs import get_logger

EARLY_S: Final = 30.0
RETRY_S: Final = 10.0

_log = get_logger(__name__)


class TokenRenewal:
    """Renews tokens shortly before they expire. `ticks` is a monotonic clock in seconds. For one event loop."""

    def __init__(self, client: OidcClient, ticks: Callable[[], float]) -> None:
        self._client = client
        self._ticks = ticks
        self._running: dict[int, asyncio.Task[None]] = {}

    async def keep_current(self, session: Session) -> None:
        """Renew the token of a session if it is about to expire: once, however many requests wait.

        Raises nothing: whether the token is still accepted is decided when the request is authenticated.
        """
        if not session.refresh_token or self._ticks() < session.renew_at_s:
            return
        key = id(session)
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(self._renew(session))
            task.add_done_callback(lambda _: self._running.pop(key, None))
        await asyncio.shield(task)

    async def _renew(self, session: Session) -> None:
        try:
            tokens = await self._client.renew(session.refresh_token)
        except Unauthenticated:
            session.refresh_token = ""
        except DependencyUnavailable as error:
            session.renew_at_s = self._ticks() + RETRY_S
            _log.warning("token_not_renewed", problem=error.message)
        else:
            session.authorization = tokens.authorization
            session.refresh_token = tokens.refresh
            session.renew_at_s = self._ticks() + max(tokens.seconds - EARLY_S, RETRY_S)
