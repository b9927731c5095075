"""Responses to requests that the access check refuses, in the form of their path. Their bodies are not read."""

from __future__ import annotations

from services.inference.http.body import Receive
from services.inference.http.error_bodies import in_form_of
from services.inference.http.response import Asgi, Scope, Send, from_error, send_response
from services.inference.metrics import InferenceMetrics
from shared.http.errors import error_response
from shared.observability.logs import get_logger

_log = get_logger(__name__)


class Refusals:
    """Makes the application that responds to one error, and counts it."""

    def __init__(self, metrics: InferenceMetrics) -> None:
        self._metrics = metrics

    def __call__(self, error: Exception, path: str) -> Asgi:
        """The ASGI application."""
        response = from_error(in_form_of(path, error_response(error, _log, path=path)))
        self._metrics.no_access(response.status)

        async def respond(scope: Scope, receive: Receive, send: Send) -> None:
            await send_response(send, response, head_only=scope["method"] == "HEAD")

        return respond
