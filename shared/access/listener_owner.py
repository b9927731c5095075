"""Which users' processes listen on a port of this machine (Linux; proc(5), /proc/net/tcp)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlsplit

from shared.access.loopback import is_loopback

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


def foreign_listener(url: str, owners: Collection[int]) -> tuple[int, int] | None:
    """Port and id of a user who is not one of `owners` and listens where a loopback URL leads; None if there is none.

    Any user of a machine may take the port of a service that is stopped, and would get what is sent there.
    """
    address = urlsplit(url)
    if not is_loopback(address.hostname or ""):
        return None
    port = address.port or (443 if address.scheme == "https" else 80)
    strangers = listener_users(port) - set(owners)
    return (port, min(strangers)) if strangers else None
