"""Trainings on a real Dask scheduler with one worker, each a process of its own: same version, log, limits, cancellation."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import psutil
import pytest

from local_stack.ports import free_port
from services.retraining.launchers.dask_launcher import DaskLauncher
from services.retraining.launchers.local_launcher import LocalLauncher
from shared.contracts.retraining_spec import Training
from shared.errors import DependencyUnavailable, TrainingFailed
from shared.models.training.training_process import Interrupted
from tests.fakes.retraining_installation import Installation, make_installation
from tests.fakes.training_run import trained, version_of
from tests.waiting import eventually

pytest.importorskip("distributed", reason="needs the extra dask")
ROOT = Path(__file__).parents[3]
DASK = Training(launcher="dask")


@dataclass(frozen=True)
class Cluster:
    address: str
    worker: psutil.Process
    scheduler: psutil.Process

    def commands(self) -> list[psutil.Process]:
        """Training commands that the worker runs."""
        return [one for one in self.worker.children(recursive=True) if "train.py" in " ".join(_words(one))]


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("dask")) as started:
        yield started


@contextmanager
def running(place: Path) -> Iterator[Cluster]:
    address = f"tcp://127.0.0.1:{free_port()}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}

    def start(*words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]]
        with (place / f"{words[0]}.log").open("wb") as log:
            return subprocess.Popen(command, cwd=place, env=environment, stdout=log, stderr=log)

    scheduler = start(
        "scheduler", "--host", "127.0.0.1", "--port", address.rsplit(":", 1)[1], "--no-dashboard"
    )
    worker = start(
        *("worker", address, "--nthreads", "2", "--no-nanny", "--no-dashboard", "--name", "first"),
        *("--resources", "GPU=1", "--local-directory", str(place)),
    )
    try:
        ready = place / "worker.log"
        eventually(lambda: "Registered to" in ready.read_text(), f"a worker; {ready}", within_s=60)
        yield Cluster(address, psutil.Process(worker.pid), psutil.Process(scheduler.pid))
    finally:
        for process in (worker, scheduler):
            process.terminate()
            process.wait(timeout=30)


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    # No training ends by its time limit while a test waits for its end.
    return make_installation(tmp_path, days=1, retraining={"time_limit": "1h"})


def test_process_and_dask_train_the_same_version(cluster: Cluster, installation: Installation) -> None:
    here = trained(installation, LocalLauncher(), "here")
    there = trained(installation, DaskLauncher(cluster.address, hidden=[installation.home]), "there", DASK)
    assert here.trained.read_bytes() == there.trained.read_bytes()
    assert version_of(installation, here) == version_of(installation, there)
    assert (there.attempt(1) / "train.log").read_bytes() == (here.attempt(1) / "train.log").read_bytes()


def test_failure_on_a_worker_has_its_log_here(cluster: Cluster, installation: Installation) -> None:
    with pytest.raises(TrainingFailed, match="failed with exit code") as found:
        trained(installation, DaskLauncher(cluster.address), "failing", DASK, "fail")
    log = installation.home / "runs" / "failing" / "attempts" / "1" / "train.log"
    assert found.value.hint == f"its log is {log}; it ran on the Dask worker first"
    assert log.read_text() == "the data looks odd\n"


@pytest.mark.parametrize("ending", ["stopped", "client is gone"])
def test_training_that_nobody_waits_for_is_ended(
    cluster: Cluster, installation: Installation, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, raised = Event(), list[BaseException]()

    def run() -> None:
        try:
            trained(installation, DaskLauncher(cluster.address), "hanging", DASK, "hang", stop=stop)
        except BaseException as error:
            raised.append(error)

    if ending == "client is gone":  # as after a crash of the service, nothing is cancelled first
        from distributed import Future

        monkeypatch.setattr(Future, "cancel", lambda *_, **__: None)
    thread = Thread(target=run)
    thread.start()
    try:
        eventually(cluster.commands, "the training to run on the worker", within_s=60)
    finally:
        stop.set()
        thread.join(timeout=60)
    assert [type(error) for error in raised] == [Interrupted]
    eventually(lambda: not cluster.commands(), "the end of the training on the worker")


def test_training_waits_for_a_worker_with_its_resources(cluster: Cluster, installation: Installation) -> None:
    launcher = DaskLauncher(cluster.address)
    trained(installation, launcher, "one", Training(launcher="dask", resources={"GPU": 1}))
    with pytest.raises(DependencyUnavailable, match="none of the 1 workers .* offers GPU 2"):
        trained(installation, launcher, "two", Training(launcher="dask", resources={"GPU": 2}))


def test_training_is_retried_after_its_scheduler_died(installation: Installation, tmp_path: Path) -> None:
    """The training has not failed, so its run must not end."""
    (tmp_path / "dask").mkdir()
    raised = list[BaseException]()
    with running(tmp_path / "dask") as cluster:

        def run() -> None:
            try:
                trained(installation, DaskLauncher(cluster.address), "hanging", DASK, "hang")
            except BaseException as error:
                raised.append(error)

        thread = Thread(target=run)
        thread.start()
        try:
            eventually(cluster.commands, "the training to run on the worker", within_s=60)
            [command] = cluster.commands()[-1:]
        finally:
            cluster.scheduler.kill()
            thread.join(timeout=60)
        assert [type(error) for error in raised] == [DependencyUnavailable], raised
        eventually(lambda: not command.is_running(), "the end of the training on the worker", within_s=30)


def test_scheduler_that_is_away_is_retried(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from services.retraining.launchers import dask_launcher

    monkeypatch.setattr(dask_launcher, "_CONNECT_SECONDS", 0.5)
    with pytest.raises(DependencyUnavailable, match="cannot be reached"):
        trained(installation, DaskLauncher(f"tcp://127.0.0.1:{free_port()}"), "away", DASK)
