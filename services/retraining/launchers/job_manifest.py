"""The Kubernetes job of a training, as a manifest. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from shared.errors import TrainingFailed
from shared.models.training.training_process import TrainingJob

RUN_LABEL = "homeostat.io/run"
CONTAINER = "training"
_VOLUME = "home"
# Beside the time limit of the training, which the process keeps itself: for starting, and for ending.
_SPARE_SECONDS = 120
_FINISHED_SECONDS = 3600
_MEMORY_OF_PROCESS = 128 << 20


@dataclass(frozen=True)
class JobPlace:
    """Where jobs run: `image` with Homeostat and the training libraries, and `claim`, the volume whose root is `home`.

    `user` and `group`: numbers of those that retraining has, which reads what the job writes.
    """

    namespace: str
    image: str
    claim: str
    home: Path
    user: int
    group: int


def run_label(run_id: str) -> str:
    """The value of RUN_LABEL: at most 63 characters.

    >>> run_label("run-1")
    'run-1'
    """
    return run_id if len(run_id) <= 63 else sha256(run_id.encode()).hexdigest()[:40]


def job_manifest(job: TrainingJob, place: JobPlace, job_file: Path, result: Path) -> dict[str, Any]:
    """A job of one pod that is not repeated. It sees the folder of its run, and the project read-only: no holdout, no version.

    Raises TrainingFailed if the project is not on the volume.
    """
    run, attempt = job.attempts.parent, job_file.parent.name
    name = f"homeostat-{sha256(str(job_file).encode()).hexdigest()[:20]}-{attempt}"
    labels = {"app.kubernetes.io/managed-by": "homeostat", RUN_LABEL: run_label(job.run_id)}
    container = {
        "name": CONTAINER,
        "image": place.image,
        "command": ["python", "-m", "shared.models.training.job_file", str(job_file), str(result)],
        "resources": {"limits": _limits(job.resources, job.confinement.memory_bytes)},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            _mount(place, run, writable=True),
            _mount(place, job.directory, writable=False),
        ],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    pod = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": int(job.time_limit.total_seconds()) + _SPARE_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsUser": place.user,
            "runAsGroup": place.group,
            "fsGroup": place.group,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": _VOLUME, "persistentVolumeClaim": {"claimName": place.claim}}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": place.namespace, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "ttlSecondsAfterFinished": _FINISHED_SECONDS,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _mount(place: JobPlace, folder: Path, *, writable: bool) -> dict[str, Any]:
    if not folder.is_relative_to(place.home) or folder == place.home:
        raise TrainingFailed(
            f"the folder {folder} is not on the volume {place.claim}, whose root is {place.home}",
            hint=f"deploy the model from a folder below {place.home}, so that a Kubernetes job can read it",
        )
    mount = {"name": _VOLUME, "mountPath": str(folder), "subPath": str(folder.relative_to(place.home))}
    return mount if writable else {**mount, "readOnly": True}


def _limits(resources: Mapping[str, float], memory_bytes: int) -> dict[str, str]:
    """Limits, which are requests too. The memory limit is that of the command, and some for the process that watches it.

    >>> _limits({"cpu": 1.5, "nvidia.com/gpu": 1}, 1 << 30)
    {'cpu': '1.5', 'nvidia.com/gpu': '1', 'memory': '1207959552'}
    """
    limits = {name: f"{much:.12g}" for name, much in resources.items()}
    if memory_bytes and "memory" not in limits:
        limits["memory"] = str(memory_bytes + _MEMORY_OF_PROCESS)
    return limits
