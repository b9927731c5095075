"""The file of the verdict store: SQLite, by one process or by several that share the models."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from services.drift.verdicts.migration import prepare
from shared.errors import OperatorError

# Seconds to wait for another process that writes.
BUSY_SECONDS = 10.0


def open_file(path: Path, *, shared: bool) -> sqlite3.Connection:
    """Open or create it; every write is durable. Raises OperatorError.

    `shared`: several processes write, each about models of its own, maybe on several machines. SQLite's write-ahead log needs
    memory that its processes share, so a rollback journal takes its place.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None
        )
        connection.execute(f"PRAGMA journal_mode={'DELETE' if shared else 'WAL'}")
        connection.execute("PRAGMA synchronous=FULL")
        prepare(connection)
    except (OSError, sqlite3.Error) as error:
        raise OperatorError(
            f"the verdict store {path} cannot be opened: {error}",
            hint="free disk space or fix the folder's permissions; processes that share it all need HOMEOSTAT_DRIFT_SHARED=true",
        ) from error
    return connection
