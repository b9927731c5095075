"""One server with five models for all clients, and the environments of `make client-libraries`.

Without an environment its tests are skipped, or fail in CI.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.spool import PredictionRecord
from tests.clients.tensor_model import put_tensors
from tests.fakes.class_model import put_classes
from tests.fakes.parcels_model import release_parcels
from tests.fakes.toy_model import ToyStore
from tests.fakes.vector_model import put_vectors, values_loop
from tests.integration.inference.conftest import ROOT, InferenceProcess, spooled
from tests.waiting import bound

ENVIRONMENTS = ROOT / "build" / "clients"
PROGRAMS = Path(__file__).parent / "programs"
Run = Callable[..., Any]


@dataclass(frozen=True)
class Served:
    """A server with the models toy (a probability of 0.25), animals (classes), ranges (values), pixels (a tensor) and parcels."""

    process: InferenceProcess
    version: str

    @property
    def url(self) -> str:
        return self.process.url

    @property
    def address(self) -> str:
        """Host and port."""
        return self.url.removeprefix("http://")

    def takes_outcome(self, prediction_id: str, value: object) -> bool:
        """Whether a prediction that a client got is logged, and the server takes an outcome for it."""
        records = [one for one in spooled(self.process.home) if isinstance(one, PredictionRecord)]
        assert prediction_id in {identity for record in records for identity in record.prediction_ids}
        answer = self.process.http.post("/outcomes", json={"prediction_id": prediction_id, "value": value})
        return answer.status_code == 202


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    toys = ToyStore(tmp_path_factory.mktemp("home"))
    version = toys.put_and_release(0.25, kind="probability").version
    toys.release(put_classes(toys).version, model="animals")
    toys.release(put_vectors(toys, values_loop()).version, model="ranges")
    toys.release(put_tensors(toys).version, model="pixels")
    release_parcels(toys)
    process = InferenceProcess(toys.home)
    try:
        process.wait_live()
        process.wait(lambda: len(process.status()["models"]) == 5, "five models are served", 30)
        yield Served(process, version)
    finally:
        process.stop()


@pytest.fixture
def run(served: Served) -> Run:
    """Runs a program of `programs/` in the environment of its library, and reads the JSON that it prints."""

    def one(library: str, url: str = served.url, **environment: str) -> Any:
        python = ENVIRONMENTS / library / "bin" / "python"
        if not python.with_name(".installed").exists():
            said = f"the environment of {library} is not installed; `make client-libraries` does it"
            pytest.fail(said) if os.environ.get("CI") == "true" else pytest.skip(said)
        done = subprocess.run(
            [str(python), "-W", "ignore", str(PROGRAMS / f"{library}_client.py"), url],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=bound(120),
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return one
