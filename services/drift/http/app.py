"""The FastAPI application of the drift service."""

from __future__ import annotations

from fastapi import FastAPI

from services.drift.http.routes import Door, make_routes
from shared.http.service_app import make_service_app


def make_app(door: Door) -> FastAPI:
    """The application around `door`; errors have the form of docs/contracts.md."""
    return make_service_app(
        "Homeostat drift", make_routes(door), hosts=door.hosts, is_ready=door.ready.is_set
    )
