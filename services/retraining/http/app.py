"""The FastAPI application of retraining, and its life cycle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from fastapi import FastAPI

from services.retraining.http.routes import RouteDependencies, make_router
from shared.http.service_app import make_service_app


class Lifecycle(Protocol):
    """Background work that starts and stops with the service."""

    def start(self) -> None:
        """Start background work."""

    def stop(self) -> None:
        """Stop it within seconds."""


def make_app(deps: RouteDependencies, lifecycle: Lifecycle) -> FastAPI:
    """Create the application; it starts and stops `lifecycle`."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        lifecycle.start()
        try:
            yield
        finally:
            lifecycle.stop()

    async def is_delegate(name: str) -> bool:
        return await asyncio.to_thread(deps.ledger.delegations.is_delegate, name, deps.clock())

    app = make_service_app(
        "Homeostat retraining",
        make_router(deps),
        service="retraining",
        authenticator=deps.authenticator,
        hosts=deps.hosts,
        is_delegate=is_delegate,
        is_ready=deps.is_ready,
        registry=deps.metrics.registry,
        lifespan=lifespan,
        openapi_url="/openapi.json",
    )
    app.state.maximum_body_bytes = deps.maximum_body_bytes
    return app
