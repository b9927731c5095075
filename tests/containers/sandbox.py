"""A process as a container would run it, from Linux's own namespaces: no container engine is needed.

It sees a root of its own, which it cannot write: Python and the system's libraries, the image's files where the image has them,
volumes where compose.yaml mounts them, a small /tmp from which nothing can be started. It is the first process there, has the
image's user and no capability, and no variable but those of image and composition. The network is the machine's.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.waiting import bound, time_factor

# Runs as the first process of the new namespaces, with the right to mount there: builds the root, then steps into it for good.
_ENTER = """\
set -eu
root=$1; shift
mount -t tmpfs -o mode=0755,size=16m root "$root"
cd "$root"
mkdir -p usr etc proc dev tmp app opt data run/secrets old
{mounts}
for link in bin lib lib64 sbin; do [ -L "/$link" ] && ln -s "$(readlink "/$link")" "$link" || true; done
for file in ld.so.cache localtime; do [ -e "/etc/$file" ] && cp -L "/etc/$file" etc/ || true; done
echo 'homeostat:x:10001:10001::/tmp:/usr/sbin/nologin' >etc/passwd
echo 'homeostat:x:10001:' >etc/group
echo '127.0.0.1 localhost' >etc/hosts
mount -t proc proc proc
for node in null zero full random urandom; do touch "dev/$node"; mount --bind "/dev/$node" "dev/$node"; done
mkdir dev/shm; mount -t tmpfs -o nosuid,nodev,noexec,size=64m,mode=1777 shm dev/shm
mount -o remount,bind,ro "$root"
pivot_root . old
umount -l old
cd {folder}
{become}
"""


@dataclass(frozen=True)
class Mount:
    """A folder or file of this machine at a place of the sandbox."""

    source: Path
    target: str
    read_only: bool


@dataclass(frozen=True)
class Sandbox:
    """What a process gets. `temporary` are folders in memory, `folder` is where it starts."""

    mounts: Sequence[Mount]
    temporary: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    user: int
    place: Path
    log: Path = field(default=Path(os.devnull))

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The command line, to be run on this machine, that runs `arguments` inside."""
        lines = []
        for mount in self.mounts:
            source, target = shlex.quote(str(mount.source)), shlex.quote(mount.target.lstrip("/"))
            lines.append(
                f"mkdir -p {target}"
                if mount.source.is_dir()
                else f"mkdir -p $(dirname {target}); touch {target}"
            )
            lines.append(f"mount --bind {source} {target}")
            if mount.read_only:
                lines.append(f"mount -o remount,bind,ro {target}")
        for target in self.temporary:
            place, _, options = target.partition(":")
            inner = place.lstrip("/")
            lines.append(f"mkdir -p {inner}; mount -t tmpfs -o nosuid,nodev,noexec,{options} tmp {inner}")
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        inside = shlex.join(["env", "-i", *variables, *arguments])
        if os.geteuid() == 0:
            rights = (
                f"--reuid {self.user} --regid {self.user} --clear-groups --inh-caps=-all --bounding-set=-all"
            )
            become, outer = f"exec setpriv {rights} --no-new-privs {inside}", []
        else:
            # Whoever may not become another user is that user in a namespace of their own, with as few rights.
            become = f"exec unshare --user --map-user={self.user} --map-group={self.user} {inside}"
            outer = ["--user", "--map-root-user"]
        script = _ENTER.format(mounts="\n".join(lines), folder=shlex.quote(self.folder), become=become)
        root = self.place / "root"
        root.mkdir(parents=True, exist_ok=True)
        # As in an image: the programs of the packages first.
        return [
            *(
                "unshare",
                *outer,
                "--mount",
                "--pid",
                "--ipc",
                "--uts",
                "--fork",
                "--kill-child",
                "--propagation",
                "private",
            ),
            *("bash", "-c", script, "enter", str(root)),
        ]

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(arguments),
            capture_output=True,
            text=True,
            timeout=bound(timeout_s),
            stdin=subprocess.DEVNULL,
        )

    def start(self, arguments: Sequence[str]) -> Process:
        """Start a command and leave it running."""
        log = self.log.open("ab")
        started = subprocess.Popen(
            self.command(arguments), stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
        log.close()
        return Process(started, self.log)


class Process:
    """A running sandbox."""

    def __init__(self, outer: subprocess.Popen[bytes], log: Path) -> None:
        self._outer = outer
        self.log = log

    @property
    def first(self) -> psutil.Process | None:
        """The first process inside; None where it has ended."""
        try:
            children = psutil.Process(self._outer.pid).children()
        except psutil.NoSuchProcess:
            return None
        return children[0] if children else None

    @property
    def exit_status(self) -> int | None:
        """Its exit status once it ended."""
        return self._outer.poll()

    def stop(self, *, grace_s: float = 30.0) -> int:
        """What `docker stop` does: SIGTERM to the first process, after `grace_s` SIGKILL; the exit status."""
        inside = self.first
        if inside is not None:
            inside.send_signal(signal.SIGTERM)
        try:
            return self._outer.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL

    def kill(self) -> None:
        """End it at once with everything in it."""
        inside = self.first
        if inside is not None:
            inside.kill()
        self._outer.kill()
        self._outer.wait(bound(10))

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:]


def python_mounts() -> list[Mount]:
    """The system's libraries and the Python the environments were made with."""
    base = Path(sys.base_prefix).resolve()
    mounts = [Mount(Path("/usr"), "/usr", True)]
    return mounts if base.is_relative_to("/usr") else [*mounts, Mount(base, str(base), True)]


def why_not(place: Path) -> str:
    """Why this machine cannot make a sandbox; empty where it can."""
    sandbox = Sandbox(python_mounts(), ("/tmp:mode=1777",), {"PATH": "/usr/bin:/bin"}, "/", 10001, place)
    try:
        done = sandbox.run(["id", "-u"], timeout_s=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"namespaces cannot be made: {error}"
    return (
        "" if done.stdout.strip() == "10001" else f"namespaces cannot be made: {done.stderr.strip()[-300:]}"
    )


def wait_for(done: object, *, seconds: float, what: str) -> None:
    """Wait until `done()` is true. Raises AssertionError naming `what` after `seconds`."""
    assert callable(done)
    ends = time.monotonic() + seconds * time_factor()
    while not done():
        assert time.monotonic() < ends, f"after {seconds:.0f} s: {what}"
        time.sleep(0.1)
