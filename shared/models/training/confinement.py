"""How a training command is confined: limits of memory and CPU time, no network, hidden files, a user of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shared.contracts.retraining_spec import Training
from shared.errors import HomeostatError, TrainingFailed

_SCRIPT = Path(__file__).with_name("confined_exec.py")


@dataclass(frozen=True)
class TrainingUser:
    """The user that runs a training command. `home` is its HOME."""

    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True)
class Confinement:
    """What holds for every process of a training command. 0 is no limit.

    `user`: None for the user of this process. Such a user must reach the paths of `needed`, each with an access mode of
    `os.access`, and none of `private`.

    `hidden`: files below these folders cannot be read, except below `shown`, if the kernel has Landlock (Linux 5.13). What is
    hidden below a shown folder stays hidden.
    """

    memory_bytes: int = 0
    cpu_seconds: int = 0
    network: bool = True
    user: TrainingUser | None = None
    needed: tuple[tuple[Path, int], ...] = ()
    private: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    shown: tuple[Path, ...] = ()

    @classmethod
    def of(cls, training: Training | None) -> Confinement:
        """As `training` of loop.yaml says."""
        if training is None:
            return cls()
        return cls(
            memory_bytes=(training.memory_mib or 0) << 20,
            cpu_seconds=int(training.cpu_time.total_seconds()) if training.cpu_time else 0,
            network=training.network != "none",
        )

    def within(self, ceiling: Confinement) -> Confinement:
        """The tighter one of each limit."""
        return replace(
            self,
            memory_bytes=_tighter(self.memory_bytes, ceiling.memory_bytes),
            cpu_seconds=_tighter(self.cpu_seconds, ceiling.cpu_seconds),
            network=self.network and ceiling.network,
        )

    def hiding(self, hidden: Sequence[Path], shown: Sequence[Path]) -> Confinement:
        """With files below `hidden` hidden, except below `shown`, and except the programs that the command may need."""
        programs = [Path(one) for one in (sys.prefix, sys.base_prefix, *sys.path) if one]
        folders = tuple(path.resolve() for path in hidden)
        kept = tuple(
            path
            for path in (one.resolve() for one in (*shown, *programs))
            if any(map(path.is_relative_to, folders))
        )
        return replace(self, hidden=folders, shown=kept)

    def wrap(self, command: Sequence[str], directory: Path, report: int) -> list[str]:
        """The command that confines itself, enters `directory` and becomes `command`; see `problem` for `report`."""
        asked = {
            "memory_bytes": self.memory_bytes,
            "cpu_seconds": self.cpu_seconds,
            "network": self.network,
            "user": {"uid": self.user.uid, "gid": self.user.gid} if self.user else None,
            "needed": [[str(path), mode] for path, mode in (*self.needed, (directory, os.R_OK | os.X_OK))],
            "private": [str(path) for path in self.private],
            "hidden": [str(path) for path in self.hidden],
            "shown": [str(path) for path in self.shown],
            "directory": str(directory),
            "report": report,
        }
        return [sys.executable, "-I", "-S", str(_SCRIPT), json.dumps(asked), *command]

    def problem(self, reported: bytes, command: str, directory: Path) -> HomeostatError | None:
        """The error in what was written to `report`; None if the command was started."""
        if not reported:
            return None
        found = json.loads(reported)
        what, detail = found["what"], found["detail"]
        user = self.user.name if self.user else ""
        if what == "network":
            return TrainingFailed(
                f"the training must run without network, which this system does not allow: {detail}",
                hint="run retraining as root, or allow user namespaces (sysctl user.max_user_namespaces, "
                "kernel.unprivileged_userns_clone; in a container a seccomp profile that allows unshare), or remove "
                "training.network from loop.yaml and HOMEOSTAT_RETRAINING_TRAINING_NETWORK",
            )
        if what == "user":
            return TrainingFailed(
                f"the training cannot be run by the user {user}: {detail}",
                hint="run retraining as root with the capabilities SETUID and SETGID, or unset "
                "HOMEOSTAT_RETRAINING_TRAINING_USER",
            )
        if what == "needed":
            return TrainingFailed(
                f"the user {user} has no access to {detail}, which the training needs",
                hint=f"let {user} enter every folder above it (chmod o+x) and read it, or set "
                "HOMEOSTAT_RETRAINING_TRAINING_USER to another user",
            )
        if what == "private":
            return TrainingFailed(
                f"the training was not started: the user {user} could read {detail}",
                hint=f"run `chmod -R go-rwx {detail}`",
            )
        return TrainingFailed(
            f"the training command {command!r} cannot be started in {directory}: {detail}",
            hint="check retraining.command in loop.yaml and the project's folder",
        )


UNCONFINED = Confinement()


def _tighter(first: int, second: int) -> int:
    return min(first, second) if first and second else first or second
