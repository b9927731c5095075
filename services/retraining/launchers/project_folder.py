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


def check_project_folder(folder: Path, roots: Sequence[Path]) -> Path:
    """The folder without symbolic links, which must be used from now on: a link could be changed after the check.

    Raises ProjectError with the path that others could change, and the command that repairs it.
    """
    try:
        real = folder.resolve(strict=True)
        if any(real.is_relative_to(root.resolve()) for root in roots):
            return real
        for path, is_above in _looked_at(real):
            if problem := _problem(path, is_above=is_above):
                raise ProjectError(
                    f"the project folder {folder} is not safe: {path} {problem}",
                    hint=f"chown it to the user of retraining and `chmod go-w {path}`, or add a folder above it that you "
                    f"trust to {ROOTS_SETTING}",
                )
    except OSError as error:
        raise ProjectError(
            f"the project folder {folder} cannot be read by retraining: {error.strerror}: {error.filename}",
            hint="deploy the model again with a folder that exists on the machine of retraining and belongs to its user",
        ) from error
    return real


def _looked_at(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Every path whose change could change the training command, and whether it is only a folder above one.

    The folder and what is below it; what links there lead to, one link after the other; and all folders above.
    """
    count, above, waiting, seen = 0, set[Path](), [folder], set[Path]()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        count += 1
        if count > MAXIMUM_FILES:
            raise ProjectError(
                f"the project folder {folder} has more than {MAXIMUM_FILES} files",
                hint=f"keep data elsewhere, or add a folder above it to {ROOTS_SETTING}",
            )
        above.update(path.parents)
        yield path, False
        if path.is_symlink():
            target = path.parent / path.readlink()
            # The folder of the target without links, the target itself as it is: it may be another link. One to nothing is safe.
            if os.path.lexists(target):
                waiting.append(target.parent.resolve() / target.name)
        elif path.is_dir():
            waiting += [path / name for name in os.listdir(path)]
    yield from ((path, True) for path in sorted(above - seen))


def _problem(path: Path, *, is_above: bool) -> str:
    """Why others can change what is at a path; empty if they cannot."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        # Its own permissions mean nothing; its target is looked at as well.
        return "" if status.st_uid in (0, os.geteuid()) else "is a link that belongs to another user"
    if status.st_uid not in (0, os.geteuid()):
        return "belongs to another user"
    if _has_access_list(path):
        return "has an access control list"
    # In a folder with the sticky bit, such as /tmp, nobody can replace what belongs to others; but everybody can add.
    if is_above and status.st_mode & stat.S_ISVTX:
        return ""
    if status.st_mode & stat.S_IWOTH:
        return "can be written by every user"
    if status.st_mode & stat.S_IWGRP and not _only_ours(status.st_gid):
        return "can be written by other members of its group"
    return ""


def _has_access_list(path: Path) -> bool:
    try:
        return bool(os.getxattr(path, "system.posix_acl_access"))
    except OSError:  # none, or the file system has no such lists
        return False


def _only_ours(group: int) -> bool:
    """Whether a group is this user's alone: many distributions give each user a group of the same name, and umask 002."""
    import grp
    import pwd

    try:
        user, found = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return False
    others = [one for one in pwd.getpwall() if one.pw_gid == group and one.pw_uid != user.pw_uid]
    return found.gr_name == user.pw_name and set(found.gr_mem) <= {user.pw_name} and not others
