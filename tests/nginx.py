"""A real nginx for tests: the shipped configuration on free ports, in a folder of its own, ended by its pid."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from local_stack.ports import free_port
from tests.waiting import bound

SHIPPED = Path(__file__).parents[1] / "deploy" / "nginx" / "homeostat.conf"
ADDRESSES = ("10.0.0.11:8000", "10.0.0.12:8000")  # those of the shipped configuration
_INSTALL = "apt-get install -y --no-install-recommends nginx-light"
# What Debian's nginx.conf has around the shipped file, without its paths and its user.
_MAIN = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/homeostat.conf;
}}
"""


@contextmanager
def running_nginx(folder: Path, servers: Sequence[int]) -> Iterator[int]:
    """The port of an nginx in front of servers on these ports; without nginx the test is skipped, and fails under CI=true."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        problem = f"nginx is not installed: {_INSTALL}"
        if os.environ.get("CI") == "true":
            pytest.fail(problem)
        pytest.skip(problem)
    port = free_port()
    text = SHIPPED.read_text().replace("listen 8000;", f"listen 127.0.0.1:{port};")
    for address, server in zip(ADDRESSES, servers, strict=True):
        text = text.replace(address, f"127.0.0.1:{server}")
    (folder / "homeostat.conf").write_text(text)
    (folder / "nginx.conf").write_text(_MAIN.format(folder=folder))
    process = subprocess.Popen(
        [program, "-e", folder / "error.log", "-p", folder, "-c", folder / "nginx.conf"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "stderr.log").open("wb"),
    )
    try:
        deadline = time.monotonic() + bound(10)
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"nginx does not start: {(folder / 'stderr.log').read_text()[-2000:]}")
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(bound(10))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(bound(10))


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
