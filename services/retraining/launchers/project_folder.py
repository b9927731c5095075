"""Which folders training commands may come from: whoever can write there can run programs as this service.

A folder is allowed if it is below one of the configured roots, or if nobody but this process's user and root can change it or
replace a folder above it. The rule is that of OpenSSH for `~/.ssh` (StrictModes).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from shared.errors import ProjectError

# Files that are looked at; a project folder with more is refused.
MAXIMUM_FILES: Final = 50_000
ROOTS_SETTING: Final = "HOMEOSTAT_RETRAINING_PROJECT_ROOTS"


def trusted_roots(setting: str) -> tuple[Path, ...]:
    """The folders that the setting `project_roots` names, separated by colons."""
    return tuple(Path(root) for root in setting.split(":") if root)


def check_project_folder(folder: Path, roots: Sequence[Path]) -> None:
    """Raises ProjectError with the path that others could change, and the command that repairs it."""
    try:
        real = folder.resolve(strict=True)
        if any(real.is_relative_to(root.resolve()) for root in roots):
            return
        for path in (*_with_parents(real), *_below(real)):
            if problem := _problem(path):
                raise ProjectError(
                    f"the project folder {folder} is not safe: {path} {problem}",
                    hint=f"chown it to the user of retraining and `chmod go-w {path}`, or add a folder above it that you "
                    f"trust to {ROOTS_SETTING}",
                )
    except OSError as error:
        raise ProjectError(
            f"the project folder {folder} cannot be read by retraining: {error.strerror}: {error.filename}",
            hint="deploy a folder that exists on the machine of retraining and belongs to its user",
        ) from error


def _with_parents(path: Path) -> Iterator[Path]:
    yield from reversed(path.parents)
    yield path


def _below(folder: Path) -> Iterator[Path]:
    count = 0
    outside: set[Path] = set()
    for place, folders, files in os.walk(folder, onerror=_raise):
        for name in (*folders, *files):
            count += 1
            if count > MAXIMUM_FILES:
                raise ProjectError(
                    f"the project folder {folder} has more than {MAXIMUM_FILES} files",
                    hint=f"keep data elsewhere, or add a folder above it to {ROOTS_SETTING}",
                )
            path = Path(place, name)
            yield path
            if path.is_symlink():
                # What it points to may be run as well. A link to nothing is no danger.
                target = path.resolve()
                outside.update(
                    _with_parents(target) if target.exists() and not target.is_relative_to(folder) else ()
                )
    yield from sorted(outside)


def _raise(error: OSError) -> None:
    raise error


def _problem(path: Path) -> str:
    """Why others can change what is at a path; empty if they cannot."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        # Its own permissions mean nothing; its target is looked at as well.
        return "" if status.st_uid in (0, os.geteuid()) else "is a link that belongs to another user"
    if status.st_uid not in (0, os.geteuid()):
        return "belongs to another user"
    # In a folder with the sticky bit, such as /tmp, nobody can replace what belongs to others.
    if stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX:
        return ""
    if status.st_mode & stat.S_IWOTH:
        return "can be written by every user"
    if status.st_mode & stat.S_IWGRP and not _only_ours(status.st_gid):
        return "can be written by other members of its group"
    return ""


def _only_ours(group: int) -> bool:
    """Whether a group has no member but this process's user: many distributions give each user such a group, and umask 002."""
    import grp
    import pwd

    try:
        user = pwd.getpwuid(os.geteuid())
        members = grp.getgrgid(group).gr_mem
    except KeyError:
        return False
    return group in (0, user.pw_gid) and set(members) <= {user.pw_name, "root"}
