"""What a run of the tests promises: a slow or hanging test fails alone, and a run that is cut off leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.repo.tracked import ROOT
from tests.scheduling import LONGEST_FIRST
from tests.waiting import bound, eventually, time_factor

# As the Makefile distributes the tests.
DISTRIBUTION = ("--dist", "loadfile", "--no-loadscope-reorder")
CONFTEST = "from tests.scheduling import *\nfrom tests.crashed_workers import pytest_xdist_make_scheduler\n"
SHARED = """
import os, pytest

@pytest.mark.parametrize("number", range(6))
def test_of_one_file(number):
    with open("workers", "a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + "\\n")
"""
DAEMON = """
import os, subprocess, sys, time

def test_starts_a_daemon():
    starter = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'], "
    starter += "start_new_session=True, env={}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid)"
    found = subprocess.run([sys.executable, "-c", starter], capture_output=True, text=True, check=True)
    open("daemon.pid.new", "w").write(found.stdout)
    os.rename("daemon.pid.new", "daemon.pid")
    time.sleep(WAIT)
"""
SLOW = """
import time

def test_quick_before():
    pass

def test_too_slow():
    time.sleep(60)

def test_quick_after():
    pass
"""
# As in a loop in C: the interpreter sees no signal and runs no other thread. It waits instead of computing.
HANGING = """
import ctypes, signal

def test_quick_before():
    pass

def test_hangs_in_c():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    ctypes.PyDLL(None).pause()

def test_quick_after():
    pass
"""


def test_tests_are_distributed_as_here() -> None:
    assert " ".join(DISTRIBUTION) in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_every_folder_of_tests_has_a_place_in_the_order() -> None:
    folders = {path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").rglob("test_*.py")}
    assert folders - {"chaos"} == set(LONGEST_FIRST)


def suite(folder: Path, source: str, limit: str = "60") -> dict[str, str]:
    """Write a suite of one file; returns the environment to run it in."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_one.py").write_text(source)
    (folder / "pytest.ini").write_text(
        f"[pytest]\ntimeout = {limit}\ntimeout_method = signal\naddopts = -p pytest_timeout -p xdist -p no:cacheprovider\n"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return kept | {
        "PYTHONPATH": str(ROOT),
        "HOMEOSTAT_TEST_PATIENCE": str(time_factor()),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["serial", "parallel"])
def test_slow_test_fails_alone_with_its_name(tmp_path: Path, workers: tuple[str, ...]) -> None:
    environment = suite(tmp_path, SLOW, limit="5")
    command = [sys.executable, "-m", "pytest", *workers]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=bound(150)
    )
    assert done.returncode == 1
    assert "FAILED test_one.py::test_too_slow" in done.stdout
    assert "1 failed, 2 passed" in done.stdout


def test_tests_of_one_file_share_a_worker(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-n", "3", *DISTRIBUTION]
    environment = suite(tmp_path, SHARED)
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=bound(150)
    )
    assert "6 passed" in done.stdout, done.stdout
    workers = (tmp_path / "workers").read_text().split()
    assert len(workers) == 6
    assert len(set(workers)) == 1


def test_worker_that_hangs_in_c_is_replaced(tmp_path: Path) -> None:
    environment = suite(tmp_path, HANGING, limit="1")
    command = [sys.executable, "-m", "pytest", "-n", "2", *DISTRIBUTION]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=bound(150)
    )
    assert done.returncode == 1
    assert "crashed while running 'test_one.py::test_hangs_in_c'" in done.stdout
    assert "1 failed, 2 passed" in done.stdout


def daemon_of(folder: Path) -> psutil.Process:
    text = eventually(
        lambda: (folder / "daemon.pid").is_file() and (folder / "daemon.pid").read_text(),
        "the daemon starts",
        within_s=60,
    )
    return psutil.Process(int(text))


def run_commands(folder: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    tests = f"tests={sys.executable} -m pytest -q"
    command = [sys.executable, "-m", "tests.parallel_commands", "small", tests]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_finished_run_ends_its_daemons(tmp_path: Path) -> None:
    run = run_commands(tmp_path, suite(tmp_path, DAEMON.replace("WAIT", "0.1")))
    output, _ = run.communicate(timeout=bound(150))
    assert run.returncode == 0, output
    assert output.splitlines()[-1].endswith("1 processes were left running and ended")
    assert not psutil.pid_exists(int((tmp_path / "daemon.pid").read_text()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_interrupted_run_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    run = run_commands(tmp_path, suite(tmp_path, DAEMON.replace("WAIT", "60")))
    daemon = daemon_of(tmp_path)
    run.send_signal(number)
    output, _ = run.communicate(timeout=bound(150))
    assert run.returncode == 128 + number, output
    assert not daemon.is_running()


def test_killed_pytest_leaves_no_process(tmp_path: Path) -> None:
    run = run_commands(tmp_path, suite(tmp_path, DAEMON.replace("WAIT", "60")))
    daemon = daemon_of(tmp_path)
    pytests = [child for child in psutil.Process(run.pid).children() if child.pid != daemon.pid]
    assert len(pytests) == 1
    pytests[0].kill()
    output, _ = run.communicate(timeout=bound(150))
    assert run.returncode == 1, output
    assert not daemon.is_running()


def test_interrupted_fuzz_leaves_no_process() -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--requests", "1000000", "--only", "sink"]
    run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    services: list[psutil.Process] = []
    try:
        # Each look reads all processes of the machine.
        services = eventually(
            lambda: psutil.Process(run.pid).children(), "a service runs", within_s=120, every_s=0.5
        )
        run.send_signal(signal.SIGTERM)
        output, _ = run.communicate(timeout=bound(60))
        assert run.returncode == 128 + signal.SIGTERM, output
        assert [service.pid for service in services if service.is_running()] == []
    finally:
        run.kill()
        for service in services:
            with suppress(psutil.NoSuchProcess):
                service.kill()
