"""What the console reads of the other services is what they return: no field is renamed on one side only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from pydantic import BaseModel

from docs.reference.metrics import all_metrics
from services.console.aggregation import prometheus_samples
from services.console.aggregation.responses import (
    Decisions,
    DriftStatus,
    InferenceStatus,
    LogStatus,
    Releases,
    Response,
    RetrainingStatus,
    Runs,
    Verdicts,
)
from services.prediction_log.bootstrap import status_body
from shared.http.metrics_server import MetricsServer
from tests import local_http
from tests.fakes.callers import Everyone
from tests.fakes.retraining_installation import MODEL
from tests.fuzz.runner import Target
from tests.fuzz.services import drift, inference, retraining
from tests.unit.services.prediction_log.conftest import Log

READ: tuple[tuple[Callable[[Path], Target], Mapping[str, type[Response]]], ...] = (
    (inference, {"/status.json": InferenceStatus}),
    (drift, {"/status": DriftStatus, "/verdicts": Verdicts}),
    (
        retraining,
        {
            "/status": RetrainingStatus,
            "/decisions": Decisions,
            "/runs": Runs,
            f"/models/{MODEL}/releases": Releases,
        },
    ),
)


@pytest.fixture(autouse=True)
def usual_logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def get(app: Any, path: str) -> bytes:
    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path)

    response = asyncio.run(once())
    assert response.status_code == 200, response.text
    return response.content


def missing(read: Any, place: str = "") -> Iterator[str]:
    """Fields that have their default because the response lacks them."""
    if isinstance(read, tuple):
        for item in read:
            yield from missing(item, place)
    elif isinstance(read, BaseModel):
        for name in type(read).model_fields:
            if name not in read.model_fields_set:
                yield f"{place}.{name}"
            yield from missing(getattr(read, name), f"{place}.{name}")


# Left out of a response where they say nothing: a live entry, a score of all rows, a loop.yaml without metrics, a change that
# lies in no slice.
LEFT_OUT = {
    "/models/toy/releases.releases.slot",
    "/models/toy/releases.releases.share",
    "/verdicts.verdicts.scores.slice",
    "/verdicts.verdicts.metrics",
    "/verdicts.verdicts.found_slices",
}


@pytest.mark.parametrize(("make", "paths"), READ, ids=[make.__name__ for make, _ in READ])
def test_responses_have_every_field_that_the_console_reads(
    make: Callable[[Path], Target], paths: Mapping[str, type[Response]], tmp_path: Path
) -> None:
    app = make(tmp_path).app
    for path, response in paths.items():
        read = response.parse(get(app, path))
        assert set(missing(read, path)) - LEFT_OUT == set()
        # Nothing would be missing in an empty list.
        lists = [value for _, value in read if isinstance(value, tuple)]
        assert any(lists), path


@pytest.mark.parametrize("service", ["shipper", "sink"])
def test_log_status_has_every_field_that_the_console_reads(service: str, tmp_path: Path) -> None:
    log = Log(tmp_path)
    process = log.shipper if service == "shipper" else log.sink
    process.last_error = "no broker"
    server = MetricsServer(
        log.registry,
        "127.0.0.1",
        0,
        partial(status_body, service, process),
        service=service,
        authenticator=Everyone(),
    )
    server.start()
    try:
        response = local_http.get(f"http://127.0.0.1:{server.port}/status")
    finally:
        server.stop()
        log.spool.close()
    read = LogStatus.parse(response.content)
    assert set(missing(read)) == set()
    assert read.last_error == "no broker"


def test_metrics_that_the_console_reads_are_exported() -> None:
    exported = {metric.name: set(metric.labels) for metric in all_metrics()}
    assert set(prometheus_samples.READ) - set(exported) == set()
    # `Samples.value` finds a sample only by exactly its labels.
    assert exported[prometheus_samples.PREDICTED_AT] == {"model"}
    assert exported[prometheus_samples.LAKE_ROW_AT] == {"kind", "model"}
    assert exported[prometheus_samples.SPOOL_BACKLOG] == exported[prometheus_samples.OLDEST_ROW_AGE] == set()
    assert "topic" in exported[prometheus_samples.SINK_LAG]
