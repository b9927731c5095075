"""Lets a server process have as many connections as the system allows it: the usual soft limit is 1,024 open files."""

from __future__ import annotations

import resource

_MAX_OPEN_FILES = 65_536  # beyond it, programs that close all files before they start another one become slow


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard limit, at most to 65,536; the limit then in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft
