"""MLflow tracking: copies runs, metrics, versions and aliases from the ledger's outbox to MLflow. Nothing reads MLflow.

MLflow may be unavailable, slow or broken: the outbox keeps the entries, and nothing else waits. Sending an entry twice is safe.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.records import Run
from services.retraining.run_states import ENDS
from shared.contracts.manifest import short
from shared.contracts.release import Release
from shared.errors import NotFound

_RUN = "homeostat.run_id"
_VERSION = "homeostat.version"


class MlflowTracker:
    """Writes to MLflow at `uri`. Imports MLflow on first use, because the import takes seconds."""

    def __init__(self, uri: str, ledger: Ledger, gate_url: Callable[[str], str] = lambda _: "") -> None:
        """`gate_url`: the page of a run's gate result."""
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        os.environ["DO_NOT_TRACK"] = "true"
        os.environ["MLFLOW_CONFIGURE_LOGGING"] = "false"  # keep the service's own log format
        from mlflow import MlflowClient

        self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        self._ledger = ledger
        self._gate_url = gate_url
        self._experiments: dict[str, str] = {}

    def send(self, entry: dict[str, Any]) -> None:
        """Send one outbox entry."""
        if entry["kind"] == "run":
            try:
                self._run(self._ledger.run(entry["payload"]["run_id"]))
            except NotFound:
                return
        elif entry["kind"] == "release":
            self._release(Release.model_validate(entry["payload"]))

    def _run(self, run: Run) -> None:
        # The current state of the run is sent, so one of several entries suffices and their order does not matter.
        experiment = self._experiment(run.model)
        mlflow_run_id = self._find_or_create_run(experiment, run)
        known = self._client.get_run(mlflow_run_id)
        for name, value in self._parameters(run).items():
            if name not in known.data.params:
                self._client.log_param(mlflow_run_id, name, value)
        for name, measured in self._measures(run).items():
            if name not in known.data.metrics:
                self._client.log_metric(mlflow_run_id, name, measured)
        self._client.set_tag(mlflow_run_id, "homeostat.state", run.state)
        self._client.set_tag(mlflow_run_id, "homeostat.reason", run.reason[:4000])
        if run.gate is not None:
            self._client.set_tag(mlflow_run_id, "homeostat.gate", self._gate_url(run.run_id))
        if run.version:
            self._registered(run.model, run.version, mlflow_run_id)
        if run.state in ENDS:
            ended = "FAILED" if run.state == "failed" else "FINISHED"
            self._client.set_terminated(mlflow_run_id, status=ended)
            if run.version and run.state in ("promoted", "succeeded"):
                self._alias(run.model, "challenger", run.version)

    def _release(self, done: Release) -> None:
        if done.slot == "live":
            self._alias(done.model, "champion", done.version)

    def _alias(self, model: str, alias: str, version: str) -> None:
        self._client.set_registered_model_alias(model, alias, self._registered(model, version, None))

    def _experiment(self, model: str) -> str:
        if model not in self._experiments:
            found = self._client.get_experiment_by_name(model)
            self._experiments[model] = found.experiment_id if found else self._client.create_experiment(model)
        return self._experiments[model]

    def _find_or_create_run(self, experiment: str, run: Run) -> str:
        found = self._client.search_runs([experiment], f"tags.`{_RUN}` = '{run.run_id}'", max_results=1)
        if found:
            return str(found[0].info.run_id)
        tags = {_RUN: run.run_id, "homeostat.cause_key": run.cause_key}
        made = self._client.create_run(
            experiment, start_time=int(run.created_at.timestamp() * 1000), tags=tags, run_name=run.run_id[:20]
        )
        return str(made.info.run_id)

    def _registered(self, model: str, version: str, mlflow_run_id: str | None) -> str:
        """MLflow's number of a version; registers the version if needed."""
        found = self._client.search_model_versions(f"name = '{model}'")
        for entry in found:
            if entry.tags.get(_VERSION) == version:
                return str(entry.version)
        if not self._client.search_registered_models(f"name = '{model}'"):
            self._client.create_registered_model(model)
        made = self._client.create_model_version(
            model,
            f"homeostat:/{model}/{version}",
            run_id=mlflow_run_id,
            tags={_VERSION: version},
            description=short(version),
        )
        return str(made.version)

    @staticmethod
    def _parameters(run: Run) -> dict[str, str]:
        snapshot = run.snapshot or {}
        names: list[str] = ["digest", "train_rows", "holdout_rows", "train_from", "train_until"]
        parameters = {name: str(snapshot[name]) for name in names if name in snapshot}
        return {**parameters, "cause": run.reason_code, "champion": short(run.champion)}

    @staticmethod
    def _measures(run: Run) -> dict[str, float]:
        measures = {f"seconds_{state}": float(seconds) for state, seconds in run.seconds.items()}
        if run.gate is not None:
            for name in ("champion_loss", "challenger_loss", "latency_ratio"):
                if run.gate.get(name) is not None:
                    measures[name] = float(run.gate[name])
            if run.gate.get("gain"):
                measures["gain"] = float(run.gate["gain"]["mean"])
            measures |= (run.gate.get("reported") or {"challenger": {}})["challenger"]
        return measures
