"""A service opens its own port and no other one.

BentoML's supervisor is controlled by Circus, whose control socket runs any command for whoever can connect: it lies in a folder
that only the service's user can enter.
"""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.fakes.service_processes import COMMANDS, running
from tests.fakes.toy_model import ToyStore


@pytest.mark.parametrize("name", COMMANDS)
def test_only_the_service_port_is_open(tmp_path: Path, name: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    ToyStore(home).put_and_release(0.5)
    with running(name, home) as service:
        parent = psutil.Process(service.process.pid)
        processes = [parent, *parent.children(recursive=True)]
        listening = {
            connection.laddr.port
            for process in processes
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }
        assert listening == {service.port}
        folders = {path.parent for path in control_sockets(processes)}
        assert [folder for folder in folders if folder.stat().st_mode & 0o077] == []
        assert bool(folders) == (name == "inference")


def control_sockets(processes: list[psutil.Process]) -> list[Path]:
    """The UNIX sockets in the file system on which processes listen."""
    inodes = set()
    for process in processes:
        for link in Path(f"/proc/{process.pid}/fd").iterdir():
            try:
                target = str(link.readlink())
            except OSError:  # closed meanwhile
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return [
        Path(line[7]) for line in lines if len(line) > 7 and line[6] in inodes and line[7].startswith("/")
    ]
