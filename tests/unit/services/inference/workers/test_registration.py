from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter

from services.inference.workers.registration import WorkerRegistration, parent_of_this_process
from services.inference.workers.worker_snapshot import Family, WorkerSnapshot, families_of
from shared.errors import OperatorError

PARENT = f"{os.getpid()}-1"


def rows(number: int) -> list[Family]:
    registry = CollectorRegistry()
    Counter("rows", "Rows.", registry=registry).inc(number)
    return families_of(registry.collect())


def total(registration: WorkerRegistration) -> float:
    running, ended = registration.read()
    return sum(
        value
        for families in [*(snapshot.families for snapshot in running), *ended]
        for family in families
        for name, _, value in family.samples
        if name == "rows_total"
    )


def publish(registration: WorkerRegistration, number: int, *, pid: int | None = None) -> None:
    registration.publish(WorkerSnapshot(registration.process, pid or os.getpid(), {}, rows(number)))


def end(registration: WorkerRegistration) -> None:
    os.close(registration._lock)  # as the kernel does


@pytest.fixture
def ended_pid() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_worker_numbers_start_at_one(tmp_path: Path) -> None:
    registrations = [WorkerRegistration.take(tmp_path / "w", PARENT) for _ in range(3)]
    assert [registration.number for registration in registrations] == [1, 2, 3]
    end(registrations[1])
    assert WorkerRegistration.take(tmp_path / "w", PARENT).number == 2


def test_last_process_that_stops_listening_knows_it(tmp_path: Path, ended_pid: int) -> None:
    one, two, three = (WorkerRegistration.take(tmp_path, PARENT) for _ in range(3))
    publish(one, 0)
    publish(two, 0)
    publish(three, 0, pid=ended_pid)
    assert not one.stop_listening()
    end(one)
    again = WorkerRegistration.take(tmp_path, PARENT)  # the supervisor has started it again
    publish(again, 0)
    assert not two.stop_listening()
    assert again.stop_listening()


def test_counts_of_ended_processes_stay_once(tmp_path: Path, ended_pid: int) -> None:
    one, two = (WorkerRegistration.take(tmp_path, PARENT) for _ in range(2))
    publish(one, 5, pid=ended_pid)
    publish(two, 7)
    assert total(two) == 12
    end(one)
    for more in (1, 2):
        successor = WorkerRegistration.take(tmp_path, PARENT)
        assert total(two) == 12 + more - 1
        publish(successor, 1, pid=ended_pid)
        assert total(two) == total(successor) == 12 + more
        end(successor)


def test_crash_between_two_writes_counts_nothing_twice(tmp_path: Path, ended_pid: int) -> None:
    """A process that ends before its first snapshot leaves that of its predecessor, which is added already."""
    watching = WorkerRegistration.take(tmp_path, PARENT)
    registration = WorkerRegistration.take(tmp_path, PARENT)
    publish(registration, 5, pid=ended_pid)
    for _ in range(3):
        end(registration)
        registration = WorkerRegistration.take(tmp_path, PARENT)
        assert total(watching) == 5


def test_only_running_processes_are_read_as_such(tmp_path: Path, ended_pid: int) -> None:
    one, two = (WorkerRegistration.take(tmp_path, PARENT) for _ in range(2))
    publish(one, 1)
    publish(two, 2, pid=ended_pid)
    running, ended = one.read()
    assert [snapshot.process for snapshot in running] == [one.process]
    assert len(ended) == 1


def test_servers_are_apart_and_old_ones_are_removed(tmp_path: Path, ended_pid: int) -> None:
    old = WorkerRegistration.take(tmp_path, f"{ended_pid}-1")
    publish(old, 9)
    registration = WorkerRegistration.take(tmp_path, PARENT)
    assert (registration.number, total(registration)) == (1, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [PARENT]


def test_folder_of_others_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "workers"
    root.mkdir()
    root.chmod(0o777)
    with pytest.raises(OperatorError, match="not private"):
        WorkerRegistration.take(root, PARENT)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(elsewhere)
    with pytest.raises(OperatorError, match="not private"):
        WorkerRegistration.take(tmp_path / "link", PARENT)


def test_parent_is_named_by_number_and_start() -> None:
    number, _, started = parent_of_this_process().partition("-")
    assert (int(number), started.isdigit()) == (os.getppid(), True)
