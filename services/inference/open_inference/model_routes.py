"""Routes about models: metadata, configuration, readiness and statistics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from services.inference.http.request import Request
from services.inference.http.response import Response, json_response
from services.inference.metrics import InferenceMetrics
from services.inference.models.servable import Servable
from services.inference.on_demand.model_pool import ModelPool
from services.inference.open_inference.features import describe
from services.inference.open_inference.model_config import model_config
from services.inference.open_inference.statistics import model_statistics
from services.inference.open_inference.versions import check_version, is_version
from shared.errors import OperatorError

Handler = Callable[[Request], Awaitable[Response]]


class ModelRoutes:
    """Makes handlers for a model and a version; an empty version is the live one."""

    def __init__(self, pool: ModelPool, metrics: InferenceMetrics, *, maximum_rows: int) -> None:
        self._pool = pool
        self._metrics = metrics
        self._maximum_rows = maximum_rows

    def ready(self, model: str, version: str) -> Handler:
        """200 if the version is live, 404 if not. One that is unloaded is loaded, as for a prediction; 503 if it cannot be."""

        async def handler(request: Request) -> Response:
            servable = self._pool.slots.description(model)
            if self._pool.slots.unloaded(model) is not None and (
                servable is None or is_version(servable, version)
            ):
                try:
                    servable = await self._pool.acquire(model)
                except OperatorError as error:
                    document = {"name": model, "ready": False, "reason": str(error)}
                    return json_response(document, 503)
                self._pool.release(servable)
            ready = servable is not None and is_version(servable, version)
            return json_response({"name": model, "ready": ready}, 200 if ready else 404)

        return handler

    def metadata(self, model: str, version: str) -> Handler:
        """The inputs and outputs."""
        return self._answer(model, version, describe)

    def config(self, model: str, version: str) -> Handler:
        """Triton's model configuration."""
        return self._answer(
            model, version, lambda servable: model_config(servable, maximum_rows=self._maximum_rows)
        )

    def statistics(self, model: str, version: str) -> Handler:
        """Requests and model calls since the process started."""
        return self._answer(model, version, lambda servable: model_statistics([servable], self._metrics))

    async def all_statistics(self, request: Request) -> Response:
        """The same of every live model, of unloaded ones too."""
        live = [self._pool.slots.description(model) for model in self._pool.slots.names()]
        return json_response(model_statistics([one for one in live if one is not None], self._metrics))

    def _answer(self, model: str, version: str, describe: Callable[[Servable], Any]) -> Handler:
        async def handler(request: Request) -> Response:
            known = self._pool.slots.description(model)
            if known is not None:  # nothing has to run
                check_version(known, version)
                return json_response(describe(known))
            servable = await self._pool.acquire(model)
            try:
                check_version(servable, version)
                return json_response(describe(servable))
            finally:
                self._pool.release(servable)

        return handler
