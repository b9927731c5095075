"""The FastAPI application of the drift service."""

from __future__ import annotations

from fastapi import FastAPI

from services.drift.http.routes import Dependencies, make_routes
from shared.http.service_app import make_service_app


def make_app(dependencies: Dependencies) -> FastAPI:
    """The application around `dependencies`; errors have the form of docs/contracts.md."""
    return make_service_app(
        "Homeostat drift",
        make_routes(dependencies),
        service="drift",
        authenticator=dependencies.authenticator,
        hosts=dependencies.hosts,
        is_ready=dependencies.ready.is_set,
        registry=dependencies.registry,
        openapi_url="/openapi.json",
    )
