"""Holds: in force while their holder lives and their time lasts, void in every other case."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from local_stack.supervisor.restart_suppression import hold, is_held
from shared.errors import Conflict


def write(home: Path, **changed: float) -> None:
    ours = {"pid": os.getpid(), "created": psutil.Process().create_time(), "until": time.time() + 60}
    path = home / "run" / "holds" / "sink.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**ours, **changed}))


def test_a_hold_is_in_force_inside_the_block(tmp_path: Path) -> None:
    assert not is_held(tmp_path, "sink")
    with hold(tmp_path, "sink", 60):
        assert is_held(tmp_path, "sink")
        assert not is_held(tmp_path, "drift")
        with pytest.raises(Conflict), hold(tmp_path, "sink", 60):
            pass
        assert is_held(tmp_path, "sink")
    assert not is_held(tmp_path, "sink")


def test_a_hold_ends_with_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), hold(tmp_path, "sink", 60):
        raise KeyboardInterrupt
    assert not is_held(tmp_path, "sink")


def test_a_hold_whose_time_is_over_is_void(tmp_path: Path) -> None:
    write(tmp_path)
    assert is_held(tmp_path, "sink")
    write(tmp_path, until=time.time() - 1)
    assert not is_held(tmp_path, "sink")
    write(tmp_path, until=time.time() + 86400)  # the clock stepped back a day
    assert not is_held(tmp_path, "sink")


def test_a_hold_whose_holder_is_gone_is_void(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    write(tmp_path, pid=gone.pid)
    assert not is_held(tmp_path, "sink")
    write(tmp_path, created=psutil.Process().create_time() - 100)  # the number belongs to another by now
    assert not is_held(tmp_path, "sink")


def test_a_file_cut_short_holds_nothing(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "run" / "holds" / "sink.json").write_text('{"pid": 1')
    assert not is_held(tmp_path, "sink")
