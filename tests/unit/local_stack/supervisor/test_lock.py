"""A probe of the supervisor's lock is not taken for a supervisor, neither by `up` nor by another probe."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import IO

import pytest

from local_stack.supervisor import lock
from local_stack.supervisor.lock import is_supervised, only_one, supervisor_pid
from shared.errors import Conflict, OperatorError


@pytest.fixture
def probe(tmp_path: Path) -> Iterator[IO[str]]:
    """A probe by another command that has the lock."""
    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / lock.LOCK).open("w+") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield handle


def test_probes_do_not_see_each_other(tmp_path: Path, probe: IO[str]) -> None:
    assert not is_supervised(tmp_path)
    assert supervisor_pid(tmp_path) is None


def test_supervisor_waits_for_a_probe(tmp_path: Path, probe: IO[str]) -> None:
    ends = Timer(0.1, fcntl.flock, (probe, fcntl.LOCK_UN))
    ends.start()
    with only_one(tmp_path):
        assert is_supervised(tmp_path)
        assert supervisor_pid(tmp_path) == os.getpid()
    ends.join()


def test_shared_lock_that_stays_is_not_called_a_supervisor(
    tmp_path: Path, probe: IO[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "WRITING_S", 0.1)
    with pytest.raises(OperatorError, match="not a supervisor"), only_one(tmp_path):
        pass


def test_second_supervisor_is_refused_by_pid(tmp_path: Path) -> None:
    with only_one(tmp_path):
        with pytest.raises(Conflict, match=f"pid {os.getpid()}"), only_one(tmp_path):
            pass
        assert is_supervised(tmp_path)
    assert not is_supervised(tmp_path)


def test_probe_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert not is_supervised(tmp_path)
    assert list((tmp_path / "run").iterdir()) == []
