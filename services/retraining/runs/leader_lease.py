"""Leader election: exactly one of several services on a ledger executes runs; the others serve HTTP and wait."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from zlib import crc32

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from shared.errors import OperatorError
from shared.file_lock import try_lock

_KEY = crc32(b"homeostat retraining leader")


class Lease(Protocol):
    """Held by one process at a time; released when the process ends, also after a crash."""

    def take(self) -> bool:
        """Acquire or keep the lease; returns whether this process holds it."""

    def holder(self) -> str:
        """The holder, if known."""

    def release(self) -> None:
        """Release the lease."""


class FileLease:
    """A file lock in HOMEOSTAT_HOME: for a ledger in SQLite, whose services share a machine."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: int | None = None

    def take(self) -> bool:
        """See Lease. Raises OperatorError if the file cannot be created."""
        if self._lock is not None:
            return True
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = try_lock(self._path, mode=0o644)
        except OSError as error:
            raise OperatorError(
                f"{self._path} cannot be opened: {error.strerror}",
                hint="set HOMEOSTAT_HOME to a folder that you can write to",
            ) from error
        if lock is None:
            return False
        with suppress(OSError):  # on a full disk only the holder's name is missing
            self._path.write_text(f"process {os.getpid()}")
        self._lock = lock
        return True

    def holder(self) -> str:
        """See Lease."""
        try:
            return self._path.read_text()
        except OSError:
            return ""

    def release(self) -> None:
        """See Lease."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class PostgresLease:
    """An advisory lock on its own connection: for a ledger in Postgres, whose services may be on several machines."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    def take(self) -> bool:
        """See Lease. A broken connection loses the lease."""
        try:
            if self._connection is not None:
                self._connection.execute(text("SELECT 1"))
                return True
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            if connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _KEY}).scalar():
                self._connection = connection
                return True
            connection.close()
        except SQLAlchemyError:
            self.release()
        return False

    def holder(self) -> str:
        """See Lease."""
        return "another service on the same Postgres"

    def release(self) -> None:
        """See Lease."""
        if self._connection is not None:
            with suppress(SQLAlchemyError):
                self._connection.invalidate()
                self._connection.close()
            self._connection = None
