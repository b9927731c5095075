"""Our doors in front of BentoML's application, under one lifespan."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

from _bentoml_sdk import Service  # type: ignore[import-untyped]

from services.inference.die_with_parent import end_with_parent
from services.inference.http.app import InferenceApp, Scope, Send
from services.inference.http.body import Receive
from shared.errors import HomeostatError
from shared.observability.logs import get_logger
from shared.settings import HomeostatSettings

_log = get_logger(__name__)

# What BentoML answers itself. Its start page loads a tracker, so `/` is not among them.
_BENTOML_PATHS = frozenset({"/schema.json", "/docs.json"})


class FrontedService(Service[Any]):  # type: ignore[misc]
    """A BentoML service whose requests go to our application first."""

    def to_asgi(self, is_main: bool = True) -> Any:
        """BentoML's application with ours in front; built once in each server process."""
        # BentoML leaves uvicorn's own line per request on; without a handler uvicorn does not even format it.
        access = logging.getLogger("uvicorn.access")
        access.handlers.clear()
        access.propagate = False
        return Front(super().to_asgi(is_main=is_main))


class Front:
    """Starts our server with the process, stops it with the process, and hands it every request that is not BentoML's."""

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
        # Here and not above: BentoML's supervisor imports this module too, and has no use for a model engine.
        from services.inference.bootstrap import InferenceServer, build
        from services.inference.settings import InferenceSettings

        server: InferenceServer | None = None

        async def received() -> MutableMapping[str, Any]:
            nonlocal server
            message = await receive()
            if message["type"] == "lifespan.startup":
                end_with_parent()
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
            # Passed on, it would make uvicorn serve without us; said like this, the process ends.
            _log.error(
                "server_not_started",
                problem=str(error),
                exc_info=None if isinstance(error, HomeostatError) else error,
            )
            await send({"type": "lifespan.startup.failed", "message": str(error)})
