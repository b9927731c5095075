"""Puts our ASGI application in front of BentoML's, under one lifespan."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

from _bentoml_sdk import Service  # type: ignore[import-untyped]

from services.inference.die_with_parent import die_with_parent
from services.inference.http.app import InferenceApp, Scope, Send
from services.inference.http.body import Receive
from shared.errors import HomeostatError
from shared.observability.logs import get_logger
from shared.settings import HomeostatSettings

_log = get_logger(__name__)

# Routes that BentoML serves. Its start page loads a tracker, so `/` is not one of them.
_BENTOML_PATHS = frozenset({"/schema.json", "/docs.json"})


class AdaptedService(Service[Any]):  # type: ignore[misc]
    """A BentoML service whose application is wrapped by ours."""

    def to_asgi(self, is_main: bool = True) -> Any:
        """BentoML's application behind ours; built once per server process."""
        # BentoML leaves uvicorn's own line per request on; without a handler uvicorn does not even format it.
        access = logging.getLogger("uvicorn.access")
        access.handlers.clear()
        access.propagate = False
        return BentoMLAdapter(super().to_asgi(is_main=is_main))


class BentoMLAdapter:
    """Starts and stops our server with the process, and passes it every request that is not BentoML's."""

    def __init__(self, bentoml: Any) -> None:
        self._bentoml = bentoml
        self._app: InferenceApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and self._app is not None and scope["path"] not in _BENTOML_PATHS:
            await self._app(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        else:
            await self._bentoml(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Imported here: BentoML's supervisor imports this module too and needs no model runtime.
        from services.inference.bootstrap import InferenceServer, build
        from services.inference.settings import InferenceSettings

        server: InferenceServer | None = None

        async def received() -> MutableMapping[str, Any]:
            nonlocal server
            message = await receive()
            if message["type"] == "lifespan.startup":
                die_with_parent()
                server = build(InferenceSettings(), HomeostatSettings())
                self._app = server.app
                await server.start()
            return message

        async def sent(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "lifespan.shutdown.complete" and server is not None:
                await server.stop()
            await send(message)

        try:
            await self._bentoml(scope, received, sent)
        except Exception as error:
            # If it were raised, uvicorn would serve without our application; this message ends the process.
            _log.error(
                "server_not_started",
                problem=str(error),
                exc_info=None if isinstance(error, HomeostatError) else error,
            )
            await send({"type": "lifespan.startup.failed", "message": str(error)})
