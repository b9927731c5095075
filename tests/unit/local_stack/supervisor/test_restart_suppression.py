"""Suppression of restarts: in force until its end and while its owner runs, else void."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from local_stack.supervisor.restart_suppression import is_suppressed, suppress_restarts
from shared.errors import Conflict


def write(home: Path, **changed: float) -> None:
    ours = {"pid": os.getpid(), "created": psutil.Process().create_time(), "until": time.time() + 60}
    path = home / "run" / "suppressed" / "sink.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**ours, **changed}))


def test_restarts_are_suppressed_inside_the_block(tmp_path: Path) -> None:
    assert not is_suppressed(tmp_path, "sink")
    with suppress_restarts(tmp_path, "sink", 60):
        assert is_suppressed(tmp_path, "sink")
        assert not is_suppressed(tmp_path, "drift")
        with pytest.raises(Conflict), suppress_restarts(tmp_path, "sink", 60):
            pass
        assert is_suppressed(tmp_path, "sink")
    assert not is_suppressed(tmp_path, "sink")


def test_suppression_ends_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), suppress_restarts(tmp_path, "sink", 60):
        raise KeyboardInterrupt
    assert not is_suppressed(tmp_path, "sink")


def test_expired_suppression_is_void(tmp_path: Path) -> None:
    write(tmp_path)
    assert is_suppressed(tmp_path, "sink")
    write(tmp_path, until=time.time() - 1)
    assert not is_suppressed(tmp_path, "sink")
    write(tmp_path, until=time.time() + 86400)  # the clock was set back by a day
    assert not is_suppressed(tmp_path, "sink")


def test_suppression_of_ended_owner_is_void(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    write(tmp_path, pid=gone.pid)
    assert not is_suppressed(tmp_path, "sink")
    write(tmp_path, created=psutil.Process().create_time() - 100)  # the pid was reused
    assert not is_suppressed(tmp_path, "sink")


def test_truncated_file_is_void(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "run" / "suppressed" / "sink.json").write_text('{"pid": 1')
    assert not is_suppressed(tmp_path, "sink")
