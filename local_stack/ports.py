"""TCP ports: whether one is free, which process or stack uses it, and a free one for tests."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import socket
import tempfile
import time
from pathlib import Path

import psutil

from local_stack.running_stacks import home_of
from shared.errors import OperatorError

# Below the ports that Linux (from 32768) and others (from 49152) give to outgoing connections: one of those could take the port
# between the choice and the start of the server.
_CANDIDATES = range(15_000, 32_000)
# From the choice of a port until its server listens, on a slow machine.
_CHOSEN_SECONDS = 120.0
_NOTE = re.compile(r"(\d+) (\d+\.\d+)\n")


def free_port(host: str = "127.0.0.1") -> int:
    """A random port on which no process listens now, and that nobody of this user has chosen lately: a stack chooses ten ports
    some seconds before it uses the last. Raises `OperatorError` if a thousand candidates are taken."""
    for _ in range(1000):
        port = secrets.choice(_CANDIDATES)
        # Not every server can take a port with a connection in TIME_WAIT.
        if _can_bind(host, port, reuse=False) and _choose(port):
            return port
    raise OperatorError(
        f"no free port found on {host} between {_CANDIDATES.start} and {_CANDIDATES.stop}",
        hint="choose the ports with HOMEOSTAT_INFERENCE_PORT and the other port settings",
    )


def _choose(port: int) -> bool:
    """Note the choice in a file of this user that all processes share; False if the port is noted there already."""
    path = Path(tempfile.gettempdir()) / f"homeostat-ports-{os.getuid()}"
    try:
        notes = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return True  # without the file two processes may choose the same port, which is rare
    with open(notes, "r+", encoding="ascii", errors="replace") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        now = time.time()
        found = [match.groups() for match in map(_NOTE.fullmatch, file) if match]
        lately = {int(one): float(at) for one, at in found if 0 <= now - float(at) < _CHOSEN_SECONDS}
        if port in lately:
            return False
        file.seek(0)
        file.truncate()
        file.writelines(f"{one} {at}\n" for one, at in (lately | {port: now}).items())
    return True


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen on `host:port` now."""
    return _can_bind(host, port, reuse=True)


def _can_bind(host: str, port: int, *, reuse: bool) -> bool:
    """`reuse`: with SO_REUSEADDR, which ignores connections in TIME_WAIT."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """The process listening on `port` as `name (pid 123)`, after the stack that it belongs to; empty if unknown."""
    pid = _listener(port)
    try:
        if pid is None:
            return ""
        process = f"{psutil.Process(pid).name()} (pid {pid})"
    except psutil.Error:
        return ""
    home = home_of(pid)
    return process if home is None else f"the stack of {home}: {process}"


def home_on(port: int) -> Path | None:
    """Home of the stack whose process listens on `port`; None if none does, or if it cannot be read."""
    pid = _listener(port)
    return None if pid is None else home_of(pid)


def port_hint(port: int, setting: str) -> str:
    """What to do about a taken port: the command that stops the stack that uses it, or `setting` for another port."""
    home = home_on(port)
    if home is None:
        return f"stop that process, or choose another port with {setting}"
    return (
        f"stop that stack with `homeostat down --home {home}`, or choose another port with {setting} "
        "(`homeostat up` and `homeostat demo` also take --free-ports)"
    )


def require_free(host: str, port: int, setting: str) -> None:
    """Raise an `OperatorError` with port, process or stack, and `setting` if `host:port` is taken."""
    if is_free(host, port):
        return
    who = holder(port)
    raise OperatorError(
        f"port {port} on {host} is taken" + (f" by {who}" if who else ""), hint=port_hint(port, setting)
    )


def _listener(port: int) -> int | None:
    try:
        for connection in psutil.net_connections(kind="tcp"):
            listens = connection.status == psutil.CONN_LISTEN and getattr(connection.laddr, "port", 0) == port
            if listens and connection.pid:
                return int(connection.pid)
    except psutil.Error:
        return None
    return None
