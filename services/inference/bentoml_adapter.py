"""Connects our ASGI application with BentoML's, under one lifespan: in front of it, or behind its methods."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from _bentoml_sdk import Service  # type: ignore[import-untyped]
from starlette.responses import Response
from uvicorn.config import HTTP_PROTOCOLS

from services.inference.bento.schemas import TASK_REPORT
from services.inference.bento.unread_request import UnreadRequest, to_starlette
from services.inference.die_with_parent import die_with_parent
from services.inference.draining_server import Drain, drain_before_end
from services.inference.http.body import Receive
from services.inference.http.response import Asgi, Scope, Send
from services.inference.settings import InferenceSettings
from shared.errors import HomeostatError
from shared.files import keep_files_private
from shared.http.errors import DESCRIBED
from shared.http.open_files import raise_file_limit
from shared.observability.logs import get_logger
from shared.settings import HomeostatSettings
from shared.tls.server_certificate import server_certificate
from shared.tls.settings import TlsSettings

if TYPE_CHECKING:  # BentoML's supervisor imports this module, too, and answers nothing
    from services.inference.http.app import InferenceApp
    from services.inference.tasks.handlers import TaskHandlers

_log = get_logger(__name__)

# Routes that BentoML serves. Its start page loads a tracker, so `/` is not one of them.
_BENTOML_PATHS = frozenset({"/schema.json", "/docs.json", "/score_file"})


_UVICORN_AUTO = "uvicorn.protocols.http.auto:AutoHTTPProtocol"
_PROTOCOL = "services.inference.fast_path.protocol:FastProtocol"
_ENCRYPTED_PROTOCOL = "services.inference.fast_path.encrypted_protocol:EncryptedProtocol"

# The event loop waits so long for a thread that computes in Python, such as the one that loads versions, each time it comes back
# from the operating system; Python's own 5 ms add up to 20 within a request.
_SWITCH_SECONDS = 0.0005


class AdaptedService(Service[Any]):  # type: ignore[misc]
    """A BentoML service whose application is connected with ours."""

    def to_asgi(self, is_main: bool = True) -> Any:
        """The application of a server process; built once."""
        # BentoML leaves uvicorn's own line per request on; without a handler uvicorn does not even format it.
        access = logging.getLogger("uvicorn.access")
        access.handlers.clear()
        access.propagate = False
        if TlsSettings().certificate is not None:
            _use_protocol(_ENCRYPTED_PROTOCOL)
        else:  # also without the fast path: its connections end without errors
            _use_protocol(_PROTOCOL)
        drain_before_end()
        self.inject_config()
        settings = InferenceSettings()
        self._adapter = BentoMLAdapter(in_front=settings.fast_path, drain=Drain(settings.drain_seconds))
        from services.inference.bento.app_factory import AppFactory

        self._adapter.bentoml = AppFactory(
            self, self._adapter.answer, lambda: self._adapter.tasks, is_main=is_main
        )()
        return self._adapter

    @property
    def openapi_spec(self) -> Any:
        """BentoML's description, with our reports of tasks and our errors."""
        spec = super().openapi_spec
        spec.components["schemas"]["TaskStatusResponse"] = TASK_REPORT
        for path in spec.paths.values():
            for operation in (path.get, path.post, path.put):
                if operation is not None:
                    # Its own routes are mappings, those of the methods are objects.
                    responses = operation["responses"] if isinstance(operation, dict) else operation.responses
                    for status in [one for one in responses if str(one)[0] in "45"]:  # of another form
                        del responses[status]
                    responses["default"] = DESCRIBED
        return spec

    def needs_task_db(self) -> bool:
        """No: tasks are in the home of the installation."""
        return False

    async def respond(self, request: UnreadRequest) -> Response:
        """Answer a request that came through one of BentoML's methods."""
        return to_starlette(await self._adapter.app.respond(request.scope, request.receive))

    async def score_file(self, request: UnreadRequest) -> Response:
        """Score a file while the request waits."""
        return to_starlette(await self._adapter.tasks.run(request.scope, request.receive))


def _is_bentomls(path: str) -> bool:
    return path in _BENTOML_PATHS or path.startswith("/score_file/")


def _use_protocol(protocol: str) -> None:
    """Let uvicorn's `auto` mean our protocol: BentoML makes uvicorn's configuration itself, after this, and leaves `http` out."""
    if HTTP_PROTOCOLS.get("auto") not in (_UVICORN_AUTO, _PROTOCOL, _ENCRYPTED_PROTOCOL):
        raise RuntimeError(
            f"uvicorn's protocol `auto` is {HTTP_PROTOCOLS.get('auto')!r}, not {_UVICORN_AUTO!r}"
        )
    HTTP_PROTOCOLS["auto"] = protocol


class BentoMLAdapter:
    """Starts and stops our server with the process, and sends each request to our application or to BentoML's.

    The access check is before both, so there is no request that it has not seen, except those that the fast path answers.
    """

    app: InferenceApp
    tasks: TaskHandlers
    bentoml: Any

    def __init__(self, *, in_front: bool, drain: Drain) -> None:
        self.drain = drain
        self._in_front = in_front
        self._checked: Asgi  # from the start of the server on

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http":
            await self._checked(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        else:  # no route has a WebSocket
            await send({"type": "websocket.close"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._in_front and not _is_bentomls(scope["path"]):
            await self.app(scope, receive, send)
        else:
            await self.bentoml(scope, receive, send)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI of our application, also before it is built."""
        await self.app(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Imported here: BentoML's supervisor imports this module too and needs no model runtime.
        from services.inference.bootstrap import InferenceServer, build
        from services.inference.fast_path.encrypted_protocol import CERTIFICATE
        from services.inference.fast_path.protocol import STATE

        server: InferenceServer | None = None

        async def received() -> MutableMapping[str, Any]:
            nonlocal server
            message = await receive()
            if message["type"] == "lifespan.startup":
                die_with_parent()
                keep_files_private()
                raise_file_limit()
                sys.setswitchinterval(_SWITCH_SECONDS)
                certificate = server_certificate(TlsSettings())
                server = build(InferenceSettings(), HomeostatSettings(), certificate, self.drain)
                self.app, self.tasks = server.app, server.tasks
                self._checked = server.check_access(self._answer)
                # uvicorn hands this state to each connection (ASGI's lifespan state).
                scope["state"] |= {STATE: server.hot, CERTIFICATE: certificate}
                await server.start()
            return message

        async def sent(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "lifespan.shutdown.complete" and server is not None:
                await server.stop()
            await send(message)

        try:
            await self.bentoml(scope, received, sent)
        except Exception as error:
            # If it were raised, uvicorn would serve without our application; this message ends the process.
            _log.error(
                "server_not_started",
                problem=str(error),
                exc_info=None if isinstance(error, HomeostatError) else error,
            )
            await send({"type": "lifespan.startup.failed", "message": str(error)})
