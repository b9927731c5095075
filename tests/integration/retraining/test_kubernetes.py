"""Trainings as Kubernetes jobs: the official client against an API server that checks manifests and runs their containers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread, Timer
from typing import Any

import pytest

from services.retraining.launchers.job_manifest import JobPlace, job_manifest
from services.retraining.launchers.kubernetes_launcher import KubernetesLauncher
from services.retraining.launchers.local_launcher import LocalLauncher
from shared.contracts.retraining_spec import Training
from shared.errors import DependencyUnavailable, OperatorError, TrainingFailed
from shared.models.training.confinement import Confinement
from shared.models.training.training_process import Interrupted, TrainingJob
from tests.fakes.kubernetes_api import NAMESPACE, FakeCluster, kubernetes_api, unknown_fields
from tests.fakes.retraining_installation import Installation, make_installation
from tests.fakes.training_run import trained, version_of
from tests.waiting import eventually

pytest.importorskip("kubernetes", reason="needs the extra kubernetes")
KUBERNETES = Training(launcher="kubernetes")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    monkeypatch.setenv("KUBECONFIG", str(folder / "config"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with kubernetes_api(folder) as made:
        yield made


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return make_installation(tmp_path, days=1)


def launcher(installation: Installation, **changes: Any) -> KubernetesLauncher:
    # The volume holds home and project.
    place = JobPlace(NAMESPACE, "homeostat/retraining:x", "data", installation.home.parent, 1000, 1000)
    return KubernetesLauncher(place, **{"poll_seconds": 0.05, **changes})


def test_process_and_kubernetes_train_the_same_version(
    cluster: FakeCluster, installation: Installation
) -> None:
    here = trained(installation, LocalLauncher(), "here")
    limits = Training(launcher="kubernetes", memory_mib=1024, resources={"cpu": 2, "nvidia.com/gpu": 1})
    there = trained(installation, launcher(installation), "there", limits)
    assert version_of(installation, here) == version_of(installation, there)
    [job] = cluster.jobs.values()
    pod = job["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["resources"]["limits"] == {"cpu": "2", "nvidia.com/gpu": "1", "memory": "1207959552"}
    # Nothing but the run's folder, without its holdout, and the project.
    assert [(one["subPath"], one.get("readOnly", False)) for one in container["volumeMounts"]] == [
        ("home/runs/there", False),
        ("project", True),
    ]
    assert (pod["automountServiceAccountToken"], pod["restartPolicy"]) == (False, "Never")
    assert (there.attempt(1) / "job.json").stat().st_mode & 0o077 == 0


def test_failure_in_a_job_has_its_log(cluster: FakeCluster, installation: Installation) -> None:
    with pytest.raises(TrainingFailed, match="exit code 3(.|\n)*the data looks odd"):
        trained(installation, launcher(installation), "failing", KUBERNETES, "fail")


def test_pod_that_cannot_start_shows_what_it_printed(
    cluster: FakeCluster, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An image with another Homeostat, which comes before the one that may be installed here.
    (installation.home / "shared").mkdir()
    (installation.home / "shared" / "__init__.py").touch()
    monkeypatch.setattr("tests.fakes.kubernetes_api.ROOT", installation.home)
    with pytest.raises(TrainingFailed, match="ended without a result: Failed(.|\n)*No module named"):
        trained(installation, launcher(installation), "image", KUBERNETES)


def test_pod_that_never_started_fails_the_run(
    cluster: FakeCluster, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with an image that cannot be pulled: its log is refused, and a retry would end no better."""
    create = cluster.create

    def unstarted(manifest: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        answer = create(manifest)
        name = manifest["metadata"]["name"]
        cluster.jobs[name]["status"] = {
            "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]
        }
        cluster.outputs[name] = cluster.folder / "none"
        cluster.refusals[f"GET /api/v1/namespaces/{NAMESPACE}/pods/{name}-x1/log"] = (
            400,
            "trying and failing to pull image",
        )
        return answer

    cluster.runs = False
    monkeypatch.setattr(cluster, "create", unstarted)
    with pytest.raises(TrainingFailed, match="ended without a result: Failed(.|\n)*failing to pull image"):
        trained(installation, launcher(installation), "pulling", KUBERNETES)


def test_job_that_no_node_takes_fails_the_run(cluster: FakeCluster, installation: Installation) -> None:
    """It would wait without end: the deadline of a pod counts from its start."""
    cluster.unschedulable = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    stop = Event()
    bound = Timer(30, stop.set)
    bound.start()
    with pytest.raises(
        TrainingFailed, match="not started within 0.2 s: Unschedulable: 0/3 nodes are available"
    ):
        trained(installation, launcher(installation, pending_seconds=0.2), "pending", KUBERNETES, stop=stop)
    bound.cancel()
    assert cluster.jobs == {}


def test_job_whose_creation_was_not_answered_is_deleted(
    cluster: FakeCluster, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = cluster.create
    monkeypatch.setattr(cluster, "create", lambda manifest: (create(manifest), (504, {"message": "slow"}))[1])
    with pytest.raises(DependencyUnavailable, match="504"):
        trained(installation, launcher(installation), "slow", KUBERNETES)
    assert (cluster.jobs, cluster.processes) == ({}, {})


def test_stopped_service_deletes_its_job(cluster: FakeCluster, installation: Installation) -> None:
    stop, raised = Event(), list[BaseException]()

    def run() -> None:
        try:
            trained(installation, launcher(installation), "hanging", KUBERNETES, "hang", stop=stop)
        except BaseException as error:
            raised.append(error)

    thread = Thread(target=run)
    thread.start()
    try:
        eventually(lambda: installation.trainings(), "the training to start")
    finally:
        stop.set()
        thread.join(timeout=60)
    assert [type(error) for error in raised] == [Interrupted]
    assert cluster.jobs == {}


def test_job_of_an_earlier_attempt_is_deleted_first(cluster: FakeCluster, installation: Installation) -> None:
    """As after a crash of the service, which nobody could tell the cluster."""
    left = {
        "metadata": {"name": "homeostat-left", "labels": {"homeostat.io/run": "again"}},
        "spec": {"template": {"spec": {"containers": []}}},
    }
    cluster.jobs["homeostat-left"] = {**left, "status": {}}
    cluster.jobs["other"] = {**left, "metadata": {"name": "other", "labels": {"homeostat.io/run": "other"}}}
    cluster.lingering = 2
    trained(installation, launcher(installation), "again", KUBERNETES)
    assert "homeostat-left" not in cluster.jobs
    assert "other" in cluster.jobs
    # Its pod may write to the run's folder until it is gone: no other job is created before.
    asked = [request for request in cluster.requests if "left" in request or request.startswith("POST")]
    seen = [request.replace(f"/apis/batch/v1/namespaces/{NAMESPACE}/", "") for request in asked]
    assert seen == ["DELETE jobs/homeostat-left", *["GET jobs/homeostat-left"] * 3, "POST jobs"]


def test_network_that_cannot_be_denied_is_refused(cluster: FakeCluster, installation: Installation) -> None:
    with pytest.raises(ValueError, match="kubernetes cannot keep `network: none`"):
        Training(launcher="kubernetes", network="none")
    strict = launcher(installation, ceiling=Confinement(network=False))
    with pytest.raises(TrainingFailed, match="without network, which the launcher kubernetes cannot keep"):
        trained(installation, strict, "offline", KUBERNETES)
    assert cluster.requests == []


def test_project_outside_of_the_volume_is_refused(cluster: FakeCluster, installation: Installation) -> None:
    place = JobPlace(NAMESPACE, "image", "data", installation.home, 1000, 1000)
    with pytest.raises(TrainingFailed, match="is not on the volume data"):
        trained(installation, KubernetesLauncher(place), "outside", KUBERNETES)
    assert cluster.requests == []


def test_root_of_the_volume_is_never_mounted(tmp_path: Path) -> None:
    """Keys and holdouts may be below it."""
    place = JobPlace(NAMESPACE, "image", "data", tmp_path, 1000, 1000)
    environment = {"HOMEOSTAT_OUT": str(tmp_path / "runs" / "one" / "attempts" / "1" / "out")}
    job = TrainingJob("one", ("true",), tmp_path, environment, tmp_path / "log", timedelta(seconds=1))
    with pytest.raises(TrainingFailed, match="is not on the volume data"):
        job_manifest(job, place, tmp_path / "runs" / "one" / "attempts" / "1" / "job.json", tmp_path)


def test_errors_of_the_cluster_are_the_operators(
    cluster: FakeCluster, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
    cluster.refusals[f"POST {jobs}"] = (403, "jobs.batch is forbidden")
    with pytest.raises(OperatorError, match="403(.|\n)*is forbidden") as found:
        trained(installation, launcher(installation), "forbidden", KUBERNETES)
    assert not isinstance(found.value, DependencyUnavailable)
    cluster.refusals[f"POST {jobs}"] = (503, "overloaded")
    with pytest.raises(DependencyUnavailable, match="503"):
        trained(installation, launcher(installation), "busy", KUBERNETES)
    monkeypatch.setenv("KUBECONFIG", str(installation.home / "none"))
    with pytest.raises(OperatorError, match="no configuration of a Kubernetes cluster"):
        trained(installation, launcher(installation), "unknown", KUBERNETES)


def test_schema_check_finds_what_the_api_does_not_know() -> None:
    """The check of the server above, which every other test here relies on."""
    pod: dict[str, Any] = {"containers": [{"name": "y"}]}
    job: dict[str, Any] = {"metadata": {"name": "x"}, "spec": {"template": {"spec": pod}}}
    assert unknown_fields(job) == []
    pod["restartpolicy"] = "Never"
    job["spec"]["backoffLimits"] = 0
    assert unknown_fields(job) == [".spec.template.spec.restartpolicy", ".spec.backoffLimits"]
