"""Refused requests are counted, by every kind of server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter
from prometheus_client import CollectorRegistry

from shared.access.scope import Scope
from shared.errors import InvalidRequest, OperatorError
from shared.http.host_check import AllowedHosts
from shared.http.metrics_server import MetricsServer
from shared.http.refused_access import RefusedAccess
from shared.http.service_app import make_service_app
from tests.fakes.api_keys import ApiKeys, bearer
from tests.fakes.retraining_app import TestClient


def counts(registry: CollectorRegistry) -> dict[str, float]:
    found = {
        status: registry.get_sample_value("homeostat_access_refusals_total", {"status": status})
        for status in ("401", "403", "429")
    }
    return {status: value or 0.0 for status, value in found.items()}


def test_other_errors_are_not_counted() -> None:
    registry = CollectorRegistry()
    refused = RefusedAccess(registry)
    for error in (
        InvalidRequest("x", field="x", expected="y"),
        OperatorError("x", hint="x"),
        ValueError("x"),
    ):
        refused.count(error)
    assert counts(registry) == {"401": 0, "403": 0, "429": 0}


@pytest.fixture(params=["service app", "metrics server"])
def server(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[httpx.Client, ApiKeys, CollectorRegistry]]:
    keys, registry = ApiKeys(tmp_path / "api_keys.json"), CollectorRegistry()
    keys.make("first", Scope.READ)
    authenticator = keys.authenticator()
    if request.param == "service app":
        app = make_service_app(
            "test",
            APIRouter(),
            service="drift",
            authenticator=authenticator,
            hosts=AllowedHosts.of("127.0.0.1", "", "X"),
            is_ready=lambda: True,
            registry=registry,
        )
        with TestClient(app, base_url="http://127.0.0.1:8002") as client:
            yield client, keys, registry
        return
    running = MetricsServer(registry, "127.0.0.1", 0, dict, service="sink", authenticator=authenticator)
    running.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{running.port}", trust_env=False) as client:
        yield client, keys, registry
    running.stop()


def test_refusals_are_counted_by_status(server: tuple[httpx.Client, ApiKeys, CollectorRegistry]) -> None:
    client, keys, registry = server
    slow = bearer(keys.make("slow", Scope.READ, requests_per_second=1))
    other = bearer(keys.make("other", Scope.PREDICT))
    asked = [
        client.get("/verdicts", headers=one).status_code for one in ({}, bearer("x"), other, slow, slow, slow)
    ]
    assert [asked.count(status) for status in (401, 403)] == [2, 1]
    assert counts(registry) == {str(status): asked.count(status) for status in (401, 403, 429)}
    assert asked.count(429) >= 1
    client.get("/health/live")
    assert sum(counts(registry).values()) == len([one for one in asked if one in (401, 403, 429)])
