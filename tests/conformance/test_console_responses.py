"""What the console reads of the other services is what they return: no field is renamed on one side only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from pydantic import BaseModel

from services.console.aggregation.responses import (
    Decisions,
    DriftStatus,
    InferenceStatus,
    Releases,
    Response,
    RetrainingStatus,
    Runs,
    Verdicts,
)
from tests.fakes.retraining_installation import MODEL
from tests.fuzz.runner import Target
from tests.fuzz.services import drift, inference, retraining

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


@pytest.mark.parametrize(("make", "paths"), READ, ids=[make.__name__ for make, _ in READ])
def test_responses_have_every_field_that_the_console_reads(
    make: Callable[[Path], Target], paths: Mapping[str, type[Response]], tmp_path: Path
) -> None:
    app = make(tmp_path).app
    for path, response in paths.items():
        read = response.parse(get(app, path))
        assert set(missing(read, path)) == set()
        # Nothing would be missing in an empty list.
        lists = [value for _, value in read if isinstance(value, tuple)]
        assert any(lists), path
