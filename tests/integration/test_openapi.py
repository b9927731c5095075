"""What the services answer is what their OpenAPI documents say, by Schemathesis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz.campaign import Service
from tests.fuzz.installation import running_services
from tests.fuzz.openapi import check_document
from tests.fuzz.wire import Credential

Running = tuple[dict[str, Service], Credential]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    # The console answers 503 to actions without the two services that it passes them to.
    folder = tmp_path_factory.mktemp("services")
    with running_services(folder, ("inference", "retraining", "drift", "console")) as (services, credentials):
        yield {service.name: service for service in services}, credentials[0]


@pytest.mark.parametrize(
    ("name", "operations"), [("inference", 12), ("retraining", 30), ("drift", 10), ("console", 20)]
)
def test_answers_are_as_documented(running: Running, name: str, operations: int) -> None:
    services, credential = running
    found = check_document(services[name], credential, examples=5, seed=1)
    assert found.failures == 0, found.output
    assert found.operations == operations
    assert found.requests > 5 * operations
