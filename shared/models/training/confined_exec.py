"""Confines this process, then runs a command in its place. A script of its own: it is started by its path, with `python -I -S`.

    confined_exec.py LIMITS COMMAND ...

LIMITS is JSON, written by `confinement.py`. The steps, in an order that matters:

1. limits of resources   2. a network namespace, while the rights for it are there   3. no new rights, then hide files
4. the other user, and a check that it reaches what it needs, and nothing that is private   5. the folder, then the command
An error is written to the descriptor `report`; at step 5 that descriptor is closed without a word.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import struct
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_NO_NEW_PRIVS = 38
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1
# Landlock has no functions in the C library; the numbers are the same on every architecture: see landlock(7).
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_LANDLOCK_RULE_PATH_BENEATH = 1
_LANDLOCK_ACCESS_FS_READ_FILE = 1 << 2
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
    if not asked["network"] or asked["user"] or asked["hidden"]:
        _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if asked["hidden"]:
        _hide([Path(one) for one in asked["hidden"]], [Path(one) for one in asked["shown"]])
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


def _hide(hidden: Sequence[Path], shown: Sequence[Path]) -> None:
    """Files below `hidden` cannot be read, except below `shown`, of which something may be hidden again; all else can.
    Without effect where the kernel has no Landlock.

    Landlock allows folders and refuses the rest, so every folder beside the way to a hidden one is allowed. A file that is made
    later in a folder on that way itself can be written and not read. The other processes of this user can be neither traced
    nor read by way of /proc.
    """
    attributes = ctypes.create_string_buffer(struct.pack("Q", _LANDLOCK_ACCESS_FS_READ_FILE))
    with suppress(OSError):
        ruleset = _system_call(_LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(8), 0)
        places = [os.path.realpath(one) for one in hidden]
        _allow_beside("/", places, lambda path: _allow(ruleset, path))
        for place in map(os.path.realpath, shown):
            if any(one.startswith(f"{place}{os.sep}") for one in places):
                _allow_beside(place, places, lambda path: _allow(ruleset, path))
            else:
                _allow(ruleset, place)
        _system_call(_LANDLOCK_RESTRICT_SELF, ruleset, 0)
        os.close(ruleset)


def _allow_beside(folder: str, hidden: list[str], allow: Callable[[str], None]) -> None:
    """Call `allow` with every entry of the folder that is neither hidden nor above something hidden, and enter the latter."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            # A link leads to a place that is allowed or not under its own name.
            if entry.is_symlink() or entry.path in hidden:
                continue
            if any(one.startswith(f"{entry.path}{os.sep}") for one in hidden):
                _allow_beside(entry.path, hidden, allow)
            else:
                allow(entry.path)


def _allow(ruleset: int, path: str) -> None:
    with suppress(OSError):
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rule = ctypes.create_string_buffer(struct.pack("=Qi", _LANDLOCK_ACCESS_FS_READ_FILE, place))
            _system_call(_LANDLOCK_ADD_RULE, ruleset, _LANDLOCK_RULE_PATH_BENEATH, rule, 0)
        finally:
            os.close(place)


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


def _system_call(number: int, *arguments: Any) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result = int(libc.syscall(number, *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
