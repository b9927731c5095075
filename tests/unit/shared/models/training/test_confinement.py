"""Real confined processes. As this machine may not allow a network namespace, those tests say so and are skipped."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.retraining_spec import Training
from shared.errors import TrainingFailed
from shared.models.training import confined_exec
from shared.models.training.confinement import UNCONFINED, Confinement, TrainingUser
from shared.models.training.training_process import OUT_VARIABLE, TrainingJob, run_training
from tests.fakes.landlock import has_landlock

OFFLINE = Confinement(network=False)
CAN_UNSHARE = (
    subprocess.run(
        [sys.executable, "-c", "import ctypes; exit(ctypes.CDLL(None).unshare(0x40000000))"]
    ).returncode
    == 0
)
needs_namespace = pytest.mark.skipif(
    not CAN_UNSHARE, reason="this user may not make a network namespace here"
)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts processes of other users")


def job(folder: Path, script: str, confinement: Confinement, *command: str) -> TrainingJob:
    environment = {OUT_VARIABLE: str(folder / "attempts" / "1" / "out")}
    given = command or ("python", "-c", script)
    return TrainingJob(
        "run-1", given, folder, environment, folder / "train.log", timedelta(seconds=30), confinement
    )


def run(folder: Path, script: str, confinement: Confinement, *command: str) -> str:
    asked = job(folder, script, confinement, *command)
    run_training(asked)
    return asked.log.read_text().strip()


def test_limits_of_loop_yaml_and_service_are_combined() -> None:
    asked = Confinement.of(Training(memory_mib=512, cpu_time=timedelta(minutes=2)))
    assert (asked.memory_bytes, asked.cpu_seconds, asked.network) == (512 << 20, 120, True)
    assert Confinement.of(None) == UNCONFINED
    ceiling = Confinement(memory_bytes=100, cpu_seconds=0, network=False)
    assert asked.within(ceiling) == Confinement(memory_bytes=100, cpu_seconds=120, network=False)
    assert UNCONFINED.within(UNCONFINED) == UNCONFINED
    assert Confinement.of(Training(network="none")).within(UNCONFINED).network is False


def test_process_that_needs_too_much_memory_is_named(tmp_path: Path) -> None:
    limited = Confinement(memory_bytes=200 << 20)
    with pytest.raises(TrainingFailed, match="needs more than its limit of 200 MiB of memory") as failed:
        run(tmp_path, "bytearray(300 << 20)", limited)
    assert "training.memory_mib" in failed.value.hint
    assert run(tmp_path, "bytearray(300 << 20); print('done')", UNCONFINED) == "done"


def test_memory_of_all_processes_is_limited_together(tmp_path: Path) -> None:
    hold = "import time; held = b'x' * (120 << 20); time.sleep(20)"
    script = f"import subprocess, sys; [subprocess.Popen([sys.executable, '-c', {hold!r}]) for _ in range(2)]; {hold}"
    with pytest.raises(TrainingFailed, match="used more than its limit of 200 MiB of memory and was ended"):
        run(tmp_path, script, Confinement(memory_bytes=200 << 20))


@pytest.mark.parametrize("command", [(), ("sh", "-c", "while :; do :; done; true")])
def test_cpu_time_is_limited(tmp_path: Path, command: tuple[str, ...]) -> None:
    with pytest.raises(TrainingFailed, match="used more than 1 s of CPU time and was killed") as failed:
        run(tmp_path, "while True: pass", Confinement(cpu_seconds=1), *command)
    assert "training.cpu_time" in failed.value.hint


TALK = """
import socket, sys
with socket.socket() as listener:
    listener.bind(("127.0.0.1", 0)); listener.listen()
    socket.create_connection(listener.getsockname()).close()
print("own loopback")
for address in {addresses}:
    try:
        socket.create_connection(tuple(address), timeout=2).close(); print("reached", address)
    except OSError as error:
        print("not reached")
"""


@needs_namespace
def test_command_without_network_reaches_nobody(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        script = TALK.format(addresses=[list(server.getsockname())])
        assert run(tmp_path, script, OFFLINE).splitlines() == ["own loopback", "not reached"]
        assert "reached" in run(tmp_path, script, UNCONFINED).splitlines()[1]


def test_missing_right_to_leave_the_network_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never with a network instead."""
    refused = tmp_path / "confined_exec.py"
    source = Path(confined_exec.__file__).read_text()
    refused.write_text(
        source.replace(
            '            _call("unshare", _CLONE_NEWNET)',
            '            raise PermissionError(1, "not permitted")',
        ).replace(
            '            _call("unshare", _CLONE_NEWUSER | _CLONE_NEWNET)',
            '            raise OSError(1, "not permitted")',
        )
    )
    monkeypatch.setattr("shared.models.training.confinement._SCRIPT", refused)
    with pytest.raises(
        TrainingFailed, match="without network, which this system does not allow: not permitted"
    ) as failed:
        run(tmp_path, "open('ran', 'w')", OFFLINE)
    assert "allow user namespaces" in failed.value.hint
    assert not (tmp_path / "ran").exists()


def test_command_and_folder_that_do_not_exist_are_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="'no-such-program' cannot be started in .*: No such file"):
        run(tmp_path, "", UNCONFINED, "no-such-program")
    gone = replace(job(tmp_path, "", UNCONFINED), directory=tmp_path / "gone")
    with pytest.raises(TrainingFailed, match="cannot be started in .*gone: No such file"):
        run_training(gone)


def test_no_descriptor_of_the_service_reaches_the_command(tmp_path: Path) -> None:
    listed = run(tmp_path, "import os; print(sorted(os.listdir('/proc/self/fd')))", UNCONFINED)
    assert listed == "['0', '1', '2', '3']", "3 is the listed folder itself"


# Another user


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that other users can enter: pytest's own folders belong to its user alone."""
    made = Path(tempfile.mkdtemp(prefix="homeostat-test-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


def nobody() -> TrainingUser:
    entry = pwd.getpwnam("nobody")
    return TrainingUser("nobody", entry.pw_uid, entry.pw_gid, "/")


@needs_root
def test_command_runs_as_the_other_user_without_way_back(folder: Path) -> None:
    folder.chmod(0o755)
    script = "id -u; id -G; echo $HOME $USER; grep NoNewPrivs /proc/self/status"
    before = os.getgroups()
    os.setgroups([0, 4])
    try:
        printed = run(folder, "", Confinement(user=nobody()), "sh", "-c", script).splitlines()
    finally:
        os.setgroups(before)
    assert printed == [str(nobody().uid), str(nobody().gid), "/ nobody", "NoNewPrivs:\t1"]


@needs_root
def test_private_path_in_reach_of_the_user_refuses_the_training(folder: Path) -> None:
    folder.chmod(0o755)
    secret = folder / "keys"
    secret.mkdir(mode=0o700)
    confined = Confinement(user=nobody(), private=(secret,))
    assert run(folder, "", confined, "sh", "-c", f"ls {secret} 2>&1 || echo no").endswith("no")
    secret.chmod(0o701)
    with pytest.raises(TrainingFailed, match="not started: the user nobody could read .*keys") as failed:
        run(folder, "", confined, "sh", "-c", f"touch {folder}/ran")
    assert "chmod -R go-rwx" in failed.value.hint


@needs_root
def test_folder_out_of_reach_is_named(folder: Path) -> None:
    with pytest.raises(TrainingFailed, match=f"the user nobody has no access to {folder}"):
        run(folder, "", Confinement(user=nobody()), "sh", "-c", "true")


@needs_root
@needs_namespace
@pytest.mark.skipif(
    not Path("/usr/bin/python3").exists() or shutil.which("setpriv") is None, reason="no python for nobody"
)
def test_network_is_left_in_a_user_namespace_without_root(folder: Path) -> None:
    asked: dict[str, Any] = {
        "memory_bytes": 0,
        "cpu_seconds": 0,
        "network": False,
        "user": None,
        "needed": [],
        "private": [],
        "hidden": [],
        "shown": [],
    }
    asked |= {"directory": "/", "report": 1}
    script = shutil.copy(confined_exec.__file__, folder / "confined_exec.py")
    Path(script).chmod(0o644)
    command = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "/usr/bin/python3",
        "-I",
        "-S",
        script,
    ]
    show = "id -u >&2; cat /proc/net/dev | wc -l >&2"
    done = subprocess.run(
        [*command, json.dumps(asked), "sh", "-c", show], capture_output=True, text=True, timeout=20
    )
    if "network" in done.stdout:
        pytest.skip(f"user namespaces are not allowed here: {done.stdout}")
    assert done.stderr.split() == ["65534", "3"], "two lines of heading, and lo"


READ = """
import tempfile
from pathlib import Path
for path in {paths}:
    try:
        print(Path(path).read_text())
    except OSError as error:
        print(type(error).__name__)
with tempfile.NamedTemporaryFile("w+") as file:
    file.write("temporary"); file.flush()
    print(Path(file.name).read_text())
"""


@pytest.mark.skipif(not has_landlock(), reason="this kernel has no Landlock")
def test_hidden_files_are_not_read_and_the_others_are(tmp_path: Path) -> None:
    kept, hidden, project = tmp_path / "home" / "runs" / "a", tmp_path / "home", tmp_path / "project"
    for folder in (kept, hidden / "lake", project, tmp_path / "home2"):
        folder.mkdir(parents=True)
        (folder / "rows").write_text(folder.name)
    (project / "link").symlink_to(hidden / "lake" / "rows")
    places = [
        *(one / "rows" for one in (kept, hidden / "lake", project, tmp_path / "home2")),
        project / "link",
    ]
    confinement = UNCONFINED.hiding([hidden], [kept, project])
    printed = run(project, READ.format(paths=[str(place) for place in places]), confinement).splitlines()
    assert printed == ["a", "PermissionError", "project", "home2", "PermissionError", "temporary"]


@pytest.mark.skipif(not has_landlock(), reason="this kernel has no Landlock")
def test_file_that_is_hidden_in_a_shown_folder_is_not_read(tmp_path: Path) -> None:
    project = tmp_path / "home" / "project"
    project.mkdir(parents=True)
    for name in ("history.parquet", "train.py"):
        (project / name).write_text(name)
    places = [project / "history.parquet", project / "train.py"]
    confinement = UNCONFINED.hiding([tmp_path / "home", project / "history.parquet"], [project])
    printed = run(project, READ.format(paths=[str(place) for place in places]), confinement).splitlines()
    assert printed == ["PermissionError", "train.py", "temporary"]


def test_programs_below_a_hidden_folder_stay_readable() -> None:
    above = Path(sys.prefix).resolve().parent
    assert Path(sys.prefix).resolve() in UNCONFINED.hiding([above], []).shown
    assert UNCONFINED.hiding([Path("/nowhere")], []).shown == ()
