"""The FastAPI application of retraining, and its life cycle."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from fastapi import FastAPI

from services.retraining.http.routes import Doors, make_router
from shared.http.service_app import make_service_app


class Life(Protocol):
    """What lives as long as the service does."""

    def start(self) -> None:
        """Begin background work."""

    def stop(self) -> None:
        """End it, within seconds."""


def make_app(doors: Doors, life: Life) -> FastAPI:
    """The application; background work starts and ends with it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        life.start()
        try:
            yield
        finally:
            life.stop()

    app = make_service_app(
        "Homeostat retraining",
        make_router(doors),
        hosts=doors.hosts,
        is_ready=lambda: bool(doors.status()["ready"]),
        lifespan=lifespan,
        openapi_url="/openapi.json",
    )
    app.state.maximum_body_bytes = doors.maximum_body_bytes
    return app
