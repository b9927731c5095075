"""The launcher for Kubernetes: each training is a job, which shares the run's folder with this service through a volume."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

from services.retraining.launchers.job_manifest import (
    CONTAINER,
    RUN_LABEL,
    JobPlace,
    job_manifest,
    run_label,
)
from shared.errors import DependencyUnavailable, OperatorError, TrainingFailed
from shared.models.training.confinement import UNCONFINED, Confinement
from shared.models.training.job_file import read_result, write_job
from shared.models.training.training_process import Interrupted, TrainingJob
from shared.observability.logs import get_logger

_log = get_logger(__name__)
_POLL_SECONDS = 1.0
_REQUEST_SECONDS = 20.0
_LOG_LINES = 40
# A job goes on for this long while the cluster does not say how it is.
_UNREACHABLE_SECONDS = 120.0
# A job that was deleted is waited for this long: until its pod is gone, it may still write.
_DELETION_SECONDS = 60.0


class KubernetesLauncher:
    """Runs jobs in `place`. What a cluster cannot promise is refused: see `train`."""

    def __init__(
        self,
        place: JobPlace,
        *,
        ceiling: Confinement = UNCONFINED,
        pending_seconds: float = 1800.0,
        poll_seconds: float = _POLL_SECONDS,
    ) -> None:
        """`pending_seconds`: how long a job's pod may wait until it starts; its time limit counts from then on."""
        self._place = place
        self._pending_seconds = pending_seconds
        self._ceiling = ceiling
        self._poll_seconds = poll_seconds

    def train(self, job: TrainingJob, stop: Event) -> None:
        """Run the command to its end in a job.

        1. delete jobs that an earlier attempt of this run has left   2. write the job's file and create the job
        3. wait until it has ended, or `stop` is set: then it is deleted   4. read its result
        Raises what `run_training` raises; TrainingFailed if it must have no network, which no job can promise, or does not start;
        DependencyUnavailable while the cluster cannot be reached.
        """
        limits = job.confinement.within(self._ceiling)
        if not limits.network:
            raise TrainingFailed(
                "the training must run without network, which the launcher kubernetes cannot keep: whether network policies hold "
                "depends on the cluster",
                hint="use training.launcher: process or dask in loop.yaml, or set HOMEOSTAT_RETRAINING_TRAINING_NETWORK=allow "
                "and deny the network by a policy of the cluster",
            )
        job = replace(job, confinement=limits)
        folder = job.log.parent
        job_file, result = folder / "job.json", folder / "result.json"
        manifest = job_manifest(job, self._place, job_file, result)
        cluster = _Cluster(self._place.namespace, self._poll_seconds)
        self._delete_others(cluster, job)
        result.unlink(missing_ok=True)
        write_job(job, job_file)
        name, ended = str(manifest["metadata"]["name"]), ""
        try:
            cluster.create(manifest)  # in the block: a job may be made though its answer was lost
            ended = self._wait(cluster, name, job, stop)
        finally:
            if not ended:
                with suppress(OperatorError):
                    cluster.delete([name])
        if not read_result(result):
            raise TrainingFailed(
                f"the Kubernetes job {name} ended without a result: {ended}{cluster.log_of(name)}",
                hint=f"see `kubectl -n {self._place.namespace} describe job {name}`; the image {self._place.image} needs "
                "Homeostat of this version and the libraries of the training command",
            )

    def _wait(self, cluster: _Cluster, name: str, job: TrainingJob, stop: Event) -> str:
        """How the job has ended. It goes on while the cluster does not answer for a moment."""
        created = answered = time.monotonic()
        is_pending = True
        while True:
            try:
                if ended := cluster.end_of(name):
                    return ended
                if is_pending:
                    reason = cluster.pending(name)
                    is_pending = bool(reason)
                    if reason and time.monotonic() - created > self._pending_seconds:
                        raise self._unstarted(name, reason)
                answered = time.monotonic()
            except DependencyUnavailable:
                if time.monotonic() - answered > _UNREACHABLE_SECONDS:
                    raise
            if stop.wait(self._poll_seconds):
                raise Interrupted(job.run_id)

    def _unstarted(self, name: str, reason: str) -> TrainingFailed:
        return TrainingFailed(
            f"the Kubernetes job {name} has not started within {self._pending_seconds:g} s: {reason}",
            hint=f"see `kubectl -n {self._place.namespace} describe job {name}` while one waits; training.resources in loop.yaml "
            "and the claim must fit a node. HOMEOSTAT_RETRAINING_KUBERNETES_PENDING_SECONDS lets jobs wait longer",
        )

    def _delete_others(self, cluster: _Cluster, job: TrainingJob) -> None:
        names = cluster.jobs_of(job.run_id)
        if names:
            _log.info("kubernetes_jobs_deleted", run_id=job.run_id, jobs=len(names))
            cluster.delete(names)
            cluster.wait_until_gone(names)


class _Cluster:
    """The calls of the official client that the launcher needs. Raises DependencyUnavailable, OperatorError."""

    def __init__(self, namespace: str, poll_seconds: float) -> None:
        from kubernetes import client, config

        settings = client.Configuration()
        try:
            if os.environ.get("KUBERNETES_SERVICE_HOST"):
                config.load_incluster_config(client_configuration=settings)
            else:
                # Read now: the library reads the variable when it is imported.
                config.load_kube_config(os.environ.get("KUBECONFIG"), client_configuration=settings)
        except config.ConfigException as error:
            raise OperatorError(
                f"there is no configuration of a Kubernetes cluster: {error}",
                hint="run retraining in the cluster with a service account, or name a file in KUBECONFIG",
            ) from error
        api = client.ApiClient(settings)
        self._batch, self._core = client.BatchV1Api(api), client.CoreV1Api(api)
        self._namespace = namespace
        self._poll_seconds = poll_seconds

    def create(self, manifest: dict[str, Any]) -> None:
        """Create a job."""
        _called(self._batch.create_namespaced_job, self._namespace, manifest, field_validation="Strict")

    def jobs_of(self, run_id: str) -> list[str]:
        """Names of the run's jobs."""
        selector = f"{RUN_LABEL}={run_label(run_id)}"
        found = _called(self._batch.list_namespaced_job, self._namespace, label_selector=selector)
        return [str(one.metadata.name) for one in found.items]

    def end_of(self, name: str) -> str:
        """How the job has ended; empty while it has not. A job that somebody deleted has ended."""
        job = _called(self._batch.read_namespaced_job, name, self._namespace, missing="")
        if not job:
            return "it was deleted"
        for one in job.status.conditions or ():
            if one.type in ("Complete", "Failed") and one.status == "True":
                return f"{one.type} {one.reason or ''} {one.message or ''}".strip()
        return ""

    def delete(self, names: Sequence[str]) -> None:
        """Delete jobs with their pods, which takes a while."""
        for name in names:
            _called(
                self._batch.delete_namespaced_job,
                name,
                self._namespace,
                propagation_policy="Foreground",
                missing=None,
            )

    def wait_until_gone(self, names: Sequence[str]) -> None:
        """Until deleted jobs and their pods are gone."""
        ends = time.monotonic() + _DELETION_SECONDS
        while any(
            _called(self._batch.read_namespaced_job, name, self._namespace, missing=None) for name in names
        ):
            if time.monotonic() > ends:
                raise DependencyUnavailable(
                    f"the Kubernetes job {names[0]} was deleted and is not gone after {_DELETION_SECONDS:g} s",
                    hint=f"see `kubectl -n {self._namespace} describe job {names[0]}`",
                )
            time.sleep(self._poll_seconds)

    def log_of(self, name: str) -> str:
        """The last lines that the job's pod has printed. A container that never started has no log, which the cluster refuses."""
        try:
            return self._log_of(name)
        except OperatorError as error:
            return f"; its log cannot be read: {error.message}"

    def pending(self, name: str) -> str:
        """Why the job's pod has not started; empty once it has."""
        pods = self._pods_of(name)
        if not pods:
            return "it has no pod"
        status = pods[0].status
        if status is None or status.phase != "Pending":
            return ""
        waiting = [
            one.state.waiting for one in status.container_statuses or () if one.state and one.state.waiting
        ]
        texts = [
            f"{one.reason}: {one.message}"
            for one in status.conditions or ()
            if one.status == "False" and one.message
        ]
        texts += [f"{one.reason}: {one.message or ''}" for one in waiting if one.reason]
        return "; ".join(texts)[:1000] or "its pod is pending"

    def _pods_of(self, name: str) -> list[Any]:
        selector = f"batch.kubernetes.io/job-name={name}"
        found = _called(self._core.list_namespaced_pod, self._namespace, label_selector=selector)
        return list(found.items)

    def _log_of(self, name: str) -> str:
        for pod in self._pods_of(name):
            text = _called(
                self._core.read_namespaced_pod_log,
                pod.metadata.name,
                self._namespace,
                container=CONTAINER,
                tail_lines=_LOG_LINES,
                missing="",
            )
            if text:
                return f"; its last lines:\n{text.rstrip()}"
        return "; it printed nothing"


_ERROR = object()


def _called(call: Any, *arguments: Any, missing: Any = _ERROR, **options: Any) -> Any:
    """The answer to a call; `missing` for what does not exist."""
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        return call(*arguments, _request_timeout=_REQUEST_SECONDS, **options)
    except ApiException as error:
        if error.status == 404 and missing is not _ERROR:
            return missing
        kind = OperatorError if error.status in (401, 403, 404, 422) else DependencyUnavailable
        raise kind(
            f"the Kubernetes cluster refused {call.__name__}: {error.status} {error.reason}: {str(error.body)[:500]}",
            hint="retraining needs a role that may create, get, list and delete jobs, list pods and get pods/log there",
        ) from error
    except (HTTPError, OSError) as error:
        raise DependencyUnavailable(
            f"the Kubernetes cluster cannot be reached: {error}",
            hint="check KUBECONFIG, or the service account of retraining",
        ) from error


def place_of(*, namespace: str, image: str, claim: str, home: Path) -> JobPlace:
    """The place that the settings name. Raises OperatorError if the claim is missing."""
    if not claim:
        raise OperatorError(
            "HOMEOSTAT_RETRAINING_KUBERNETES_IMAGE is set and HOMEOSTAT_RETRAINING_KUBERNETES_CLAIM is not",
            hint="name the PersistentVolumeClaim that holds HOMEOSTAT_HOME, so that jobs read the training rows",
        )
    return JobPlace(namespace, image, claim, home, os.geteuid(), os.getegid())
