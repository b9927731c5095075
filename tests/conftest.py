"""What every test may ask for: one real broker and one real database a session."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from local_stack.kafka.broker import Broker, local_broker
from local_stack.kafka.config_files import BrokerFiles
from local_stack.ports import free_port
from local_stack.settings import LocalStackSettings
from tests.collection import pytest_collection
from tests.crashed_workers import pytest_xdist_make_scheduler
from tests.migrated_ledgers import migrated_ledgers
from tests.postgres import Postgres, running_postgres
from tests.scheduling import pytest_collection_modifyitems, pytest_configure, pytest_runtest_protocol

__all__ = [
    "kafka_broker",
    "migrated_ledgers",
    "postgres",
    "pytest_collection",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_runtest_protocol",
    "pytest_xdist_make_scheduler",
]

# Every run starts with the usual permissions, whoever runs it: images, volumes and secrets are read by other users than ours.
os.umask(0o022)
# No component under test may call home, in this process or in one it starts.
os.environ.update(BENTOML_DO_NOT_TRACK="True", DO_NOT_TRACK="1", MLFLOW_DISABLE_TELEMETRY="true")
# As `homeostat up` starts services on loopback addresses.
os.environ.setdefault("HOMEOSTAT_ANONYMOUS_ACCESS", "true")
# Workers share the cores: one thread each in numeric libraries.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")


@pytest.fixture(autouse=True)
def restored_umask() -> Iterator[None]:
    """An entry point that a test runs in this process keeps its files private; what later tests write is theirs to decide."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def restored_uvicorn() -> Iterator[None]:
    """The entry point of inference replaces uvicorn's server, which other tests start with applications of their own."""
    yield
    if (uvicorn := sys.modules.get("uvicorn")) is not None:
        uvicorn.Server = uvicorn.server.Server  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A running Apache Kafka with Homeostat's topics. A test that stops or kills it starts it again before it ends."""
    place = BrokerFiles(tmp_path_factory.mktemp("kafka"), port=free_port(), controller_port=free_port())
    broker = local_broker(place, LocalStackSettings())
    broker.start()
    try:
        broker.create_topics()
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL; each test makes a database of its own there. A test that stops it starts it again before it ends."""
    with running_postgres() as server:
        yield server
