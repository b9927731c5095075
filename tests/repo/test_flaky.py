"""Tests that fail beside others and pass alone are named and do not fail the run; tests that fail alone do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.repo.test_runs import DISTRIBUTION, suite
from tests.waiting import bound

PASSING = "def test_passes():\n    pass\n"
FAILING = "def test_fails():\n    assert False\n"
# Fails in a worker of xdist, which runs tests beside those of other workers; here one worker is enough.
FLAKY = "import os\n\ndef test_needs_to_be_alone():\n    assert 'PYTEST_XDIST_WORKER' not in os.environ\n"
BROKEN_FIXTURE = """
import os, pytest

@pytest.fixture(scope="module")
def stack():
    if "PYTEST_XDIST_WORKER" in os.environ:
        raise OSError("the port is taken")

@pytest.mark.parametrize("number", range(3))
def test_of_the_stack(stack, number):
    pass
"""


def run(folder: Path, sources: dict[str, str], *, files: int = 2) -> subprocess.CompletedProcess[str]:
    environment = suite(folder, PASSING)
    settings = folder / "pytest.ini"
    settings.write_text(settings.read_text().replace(" -p no:cacheprovider", ""))
    for name, source in sources.items():
        (folder / f"test_{name}.py").write_text(source)
    command = [sys.executable, "-m", "tests.flaky", str(files), "-q", "-n", "1", *DISTRIBUTION, "."]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=bound(150)
    )


def test_test_that_passes_alone_is_named_as_flaky(tmp_path: Path) -> None:
    done = run(tmp_path, {"flaky": FLAKY, "stack": BROKEN_FIXTURE})
    assert done.returncode == 0, done.stdout
    _, _, named = done.stdout.partition("flaky (failed beside other tests, passed alone; repair them):\n")
    assert [line.strip() for line in named.splitlines()] == [
        "test_flaky.py::test_needs_to_be_alone",
        *(f"test_stack.py::test_of_the_stack[{number}]" for number in range(3)),
    ]


def test_test_that_fails_alone_fails_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, {"flaky": FLAKY, "failing": FAILING})
    assert done.returncode == 1
    assert "flaky (failed beside other tests, passed alone; repair them):\n  test_flaky.py::" in done.stdout
    assert "test_failing.py::test_fails" not in done.stdout.partition("repair them")[2]


def test_failures_of_many_files_fail_the_run_at_once(tmp_path: Path) -> None:
    done = run(tmp_path, {"one_more": FLAKY, "two_more": FLAKY, "three_more": FLAKY})
    assert done.returncode == 1
    assert "once more" not in done.stdout


def test_no_test_runs_again_with_no_files(tmp_path: Path) -> None:
    done = run(tmp_path, {"flaky": FLAKY}, files=0)
    assert done.returncode == 1
    assert "once more" not in done.stdout


def test_quiet_run_runs_once(tmp_path: Path) -> None:
    done = run(tmp_path, {})
    assert done.returncode == 0
    assert "once more" not in done.stdout
    assert "1 passed" in done.stdout
