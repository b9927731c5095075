"""MLflow tracking on a real MLflow: runs, versions and aliases match the ledger, also when sent late and twice."""

from __future__ import annotations

from pathlib import Path

from services.retraining.ledger.engine import open_engine
from services.retraining.ledger.ledger import Ledger
from services.retraining.tracking.mlflow import MlflowTracker
from tests.fakes.retraining_installation import MODEL, make_installation
from tests.fakes.retraining_service import ServiceProcess, wait_for


def test_mlflow_matches_the_ledger(tmp_path: Path) -> None:
    installation = make_installation(tmp_path, days=15)
    service = ServiceProcess(installation, mlflow="true", mlflow_seconds="0.2")
    try:
        service.start()
        service.deploy()
        run_id = service.post("/triggers", {"model": MODEL, "reason": "please"}, expect=202)["causes"][0][
            "run_id"
        ]
        wait_for(lambda: service.get(f"/runs/{run_id}")["state"] == "promoted", 60, "the run to be promoted")
        wait_for(
            lambda: service.get("/status")["mlflow_pending_entries"] == 0,
            120,
            f"all entries to be sent; {service.log}",
        )
        assert service.stop() == 0
    finally:
        service.end()

    from mlflow import MlflowClient

    uri = f"sqlite:///{installation.home / 'mlflow.sqlite'}"
    ledger = Ledger(open_engine(f"sqlite:///{installation.home / 'ledger.sqlite'}"))
    run = ledger.run(run_id)

    # Sent again from the beginning: no duplicates.
    again = MlflowTracker(uri, ledger, lambda run_id: f"http://console/runs/{run_id}/gate")
    for entry in (
        {"kind": "run", "payload": {"run_id": run_id}},
        {"kind": "run", "payload": {"run_id": "run-gone"}},
    ):
        again.send(entry)

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    experiment = client.get_experiment_by_name(MODEL)
    assert experiment is not None
    [tracked] = client.search_runs([experiment.experiment_id])
    assert tracked.data.tags["homeostat.run_id"] == run_id
    assert tracked.data.tags["homeostat.state"] == "promoted"
    assert tracked.data.tags["homeostat.gate"] == f"http://console/runs/{run_id}/gate"
    assert tracked.info.status == "FINISHED"
    assert run.snapshot is not None
    assert tracked.data.params["digest"] == run.snapshot["digest"]
    assert run.gate is not None
    assert tracked.data.metrics["challenger_loss"] == run.gate["challenger_loss"]
    assert client.get_model_version_by_alias(MODEL, "champion").tags["homeostat.version"] == run.version
    versions = {
        entry.tags["homeostat.version"] for entry in client.search_model_versions(f"name = '{MODEL}'")
    }
    assert versions == {installation.champion, run.version}
