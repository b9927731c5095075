"""The whole retraining service in this process, without Kafka, behind a test client."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from typing import Any

from services.retraining.bootstrap import Service
from services.retraining.run_states import ENDS
from services.retraining.settings import RetrainingSettings
from shared.access.key_changes import create_key
from shared.access.key_file import KeyFile, key_file_path
from shared.access.scope import Scope
from shared.contracts.loop_spec import LoopSpec
from tests.fakes.retraining_installation import MODEL, Installation, package_poor_champion
from tests.fakes.retraining_service import wait_for

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

__all__ = ["SETTINGS", "RetrainingApp", "TestClient"]

SETTINGS = RetrainingSettings(listen=False, mlflow=False, poll_seconds=0.05, latency_calls=5)


class RetrainingApp:
    """An installation, its retraining service without Kafka, and an HTTP client."""

    def __init__(self, installation: Installation, service: Service, client: TestClient) -> None:
        self.installation, self.service, self.client = installation, service, client

    def get(self, path: str, status: int = 200) -> Any:
        answer = self.client.get(path)
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, path: str, body: Any, status: int) -> Any:
        answer = self.client.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def deploy(self, version: str = "", status: int = 201, **changes: Any) -> Any:
        """Another version than the installation's champion is released without the gate, unless `force` says otherwise."""
        body = {
            "force": "it is a test" if version else "",
            "version": version or self.installation.champion,
            "project_directory": str(self.installation.project),
            "actor": "ann",
        }
        return self.post(f"/models/{MODEL}/deployments", {**body, **changes}, status)

    def served(self) -> list[str]:
        return [entry["version"] for entry in self.get(f"/models/{MODEL}/releases")["releases"]]

    def request_run(self, **more: Any) -> Any:
        return self.post("/triggers", {"model": MODEL, "reason": "please", "actor": "ann", **more}, 202)[
            "causes"
        ][0]

    def wait_for_state(self, run_id: str, *states: str) -> dict[str, Any]:
        """The run once it reached one of `states`; fails at once, with the run, when it ended in another."""
        ledger = self.service.deps.ledger

        def reached() -> bool:
            # Read where the route reads: a request each time took more than the run.
            state = ledger.run(run_id).state
            assert state in states or state not in ENDS, self.get(f"/runs/{run_id}")
            return state in states

        wait_for(reached, 60, f"{run_id} to become {' or '.join(states)}")
        run: dict[str, Any] = self.get(f"/runs/{run_id}")
        return run

    def another_version(self, slope: float, **outcome: Any) -> str:
        """Package a version; `outcome` are keys of that block of its loop.yaml."""
        document = self.installation.spec.model_dump(mode="json")
        document["outcome"] |= outcome
        return package_poor_champion(
            self.installation.project.parent,
            LoopSpec.model_validate(document),
            self.installation.store,
            self.installation.keys,
            slope=slope,
        )

    def key(self, name: str, *scopes: Scope) -> dict[str, str]:
        """The headers of a new API key, when the service knows it."""
        with KeyFile(key_file_path(self.installation.settings)).changing() as keys:
            _, text = create_key(keys, name, frozenset(scopes), datetime.now(UTC))
        headers = {"Authorization": f"Bearer {text}"}
        wait_for(
            lambda: self.client.get("/nowhere", headers=headers).status_code != 401, 10, "the key to be known"
        )
        return headers
