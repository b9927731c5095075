"""Confines this process, then runs a command in its place. A script of its own: it is started by its path, with `python -I -S`.

    confined_exec.py LIMITS COMMAND ...

LIMITS is JSON, written by `confinement.py`. The steps, in an order that matters:

1. limits of resources   2. a network namespace, while the rights for it are there   3. no new rights, then the other user
4. check that this user reaches what it needs, and nothing that is private   5. the folder, then the command
An error is written to the descriptor `report`; at step 5 that descriptor is closed without a word.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_NO_NEW_PRIVS = 38
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1
_SECONDS_TO_END = 5  # between the signal that a program may handle, and the one that it may not


class Refused(Exception):
    """The process cannot be confined as asked; `what` is a word for the reason."""

    def __init__(self, what: str, detail: str) -> None:
        super().__init__(what, detail)
        self.what = what
        self.detail = detail


def main(arguments: list[str]) -> int:
    """Run the command; returns only where it cannot be run."""
    asked, command = json.loads(arguments[0]), arguments[1:]
    os.set_inheritable(asked["report"], False)
    try:
        confine(asked)
        os.chdir(asked["directory"])
        os.execvp(command[0], command)
    except Refused as refused:
        problem = {"what": refused.what, "detail": refused.detail}
    except OSError as error:
        problem = {"what": "start", "detail": error.strerror or str(error)}
    os.write(asked["report"], json.dumps(problem).encode())
    return 126


def confine(asked: dict[str, Any]) -> None:
    """Steps 1 to 4. Raises Refused."""
    if asked["memory_bytes"]:
        resource.setrlimit(resource.RLIMIT_DATA, (asked["memory_bytes"], asked["memory_bytes"]))
    if asked["cpu_seconds"]:
        seconds = asked["cpu_seconds"]
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + _SECONDS_TO_END))
    if not asked["network"]:
        _leave_network()
    if not asked["network"] or asked["user"]:
        _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if asked["user"]:
        _become(asked["user"]["uid"], asked["user"]["gid"])
        _check_access(asked["needed"], asked["private"])


def _leave_network() -> None:
    """Into a network namespace that has nothing but its own loopback; without rights, inside a user namespace."""
    try:
        try:
            _call("unshare", _CLONE_NEWNET)
        except PermissionError:
            uid, gid = os.getuid(), os.getgid()
            _call("unshare", _CLONE_NEWUSER | _CLONE_NEWNET)
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
            Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
        _raise_loopback()
    except (OSError, AttributeError) as error:
        raise Refused("network", getattr(error, "strerror", None) or str(error)) from error


def _raise_loopback() -> None:
    """Processes of one training may talk to each other by way of 127.0.0.1."""
    import fcntl
    import socket
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sh", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(any_socket, _GET_FLAGS, asked.ljust(40, b"\0")), 16)
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh", b"lo", flags | _UP).ljust(40, b"\0"))


def _become(uid: int, gid: int) -> None:
    try:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError as error:
        raise Refused("user", error.strerror or str(error)) from error


def _check_access(needed: list[list[Any]], private: list[str]) -> None:
    for path, mode in needed:
        if not os.access(path, mode):
            raise Refused("needed", path)
    for path in private:
        if os.access(path, os.R_OK) or (os.path.isdir(path) and os.access(path, os.X_OK)):
            raise Refused("private", path)


def _call(name: str, *arguments: int) -> None:
    """A function of the C library. Raises OSError, and AttributeError where the system has none of that name."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
