"""Which users' processes listen on a port of this machine (Linux; proc(5), /proc/net/tcp)."""

from __future__ import annotations

from pathlib import Path

_LISTEN = "0A"
_TABLES = ("tcp", "tcp6")


def listener_users(port: int, proc: Path = Path("/proc/net")) -> frozenset[int]:
    """The ids of these users; empty if nobody listens, or the system does not say."""
    users = set()
    for table in _TABLES:
        try:
            lines = (proc / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            # sl, local_address, rem_address, st, tx:rx, tr:when, retrnsmt, uid
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                users.add(int(fields[7]))
    return frozenset(users)
