"""Leader election: exactly one of several services on a ledger executes runs; the others serve HTTP and wait."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.exc import SQLAlchemyError

from services.retraining.ledger.engine import LeaseLost
from services.retraining.ledger.tables import leader_lease
from shared.errors import OperatorError
from shared.file_lock import try_lock

RENEW_SECONDS = 1.0
# A dead leader is replaced after this and two renewals at most.
LEASE_SECONDS = 6.0
_MARGIN_SECONDS = 1.0
_NAME = "runs"
_ROW = update(leader_lease).where(leader_lease.c.name == _NAME)


class Lease(Protocol):
    """Held by one process at a time; free some time after the process ended, also after a crash.

    `lost`: another process has taken it from this one, which must end.
    """

    lost: bool

    def take(self) -> bool:
        """Acquire or keep the lease; returns whether this process holds it. Called every RENEW_SECONDS."""

    def is_held(self) -> bool:
        """Whether this process holds it now."""

    def holder(self) -> str:
        """The holder, if known."""

    def release(self) -> None:
        """Release the lease."""


class FileLease:
    """A file lock in HOMEOSTAT_HOME: for a ledger in SQLite, whose services share a machine."""

    lost = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: int | None = None

    def is_held(self) -> bool:
        """See Lease."""
        return self._lock is not None

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


class LedgerLease:
    """A row of the ledger: for a ledger in Postgres, whose services may be on several machines.

    1. the holder renews the row every RENEW_SECONDS, and considers itself the leader for less than LEASE_SECONDS after each
       renewal, counted from before it: also one whose database hangs, or that was stopped meanwhile, then knows that it is not
    2. another service takes the row with the next token, once it has seen it unchanged for LEASE_SECONDS, by its own clock:
       clocks of several machines are never compared
    3. `check` is part of each transaction of the leader, and fails if the token is another one's: a leader that was stopped
       between its decision and its act changes nothing (a fencing token; Kleppmann, Designing Data-Intensive Applications, 8)
    A session lock of Postgres would be simpler, but is held as long as the connection of a stopped process or a lost machine.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock = clock
        self._name = f"process {os.getpid()} on {socket.gethostname()}"
        self._holder = ""
        self._token = 0
        self._held_until = -math.inf
        self._seen: tuple[int, int] | None = None
        self._seen_at = 0.0
        self.lost = False

    def take(self) -> bool:
        """See Lease. While the database does not respond, a lease that was taken holds until its time is over."""
        if self.lost:
            return False
        began = self._clock()
        try:
            with self._changing() as connection:
                taken = self._renew(connection) if self._token else self._acquire(connection, began)
        except SQLAlchemyError:
            return self.is_held()
        if taken:
            self._token, self._holder = taken, self._name
            self._held_until = began + LEASE_SECONDS - _MARGIN_SECONDS
        return self.is_held()

    def is_held(self) -> bool:
        """See Lease."""
        return not self.lost and self._clock() < self._held_until

    def holder(self) -> str:
        """See Lease."""
        return self._holder

    def release(self) -> None:
        """See Lease. The next service takes it at once."""
        self._held_until = -math.inf
        if self._token and not self.lost:
            with suppress(SQLAlchemyError), self._changing() as connection:
                connection.execute(_ROW.where(leader_lease.c.token == self._token).values(holder=""))
        self._token = 0

    def check(self, connection: Connection) -> None:
        """Raises LeaseLost if another service has the lease. Nobody can take it before the transaction ends."""
        row = select(leader_lease.c.token).where(leader_lease.c.name == _NAME)
        token = connection.execute(row.with_for_update(read=True)).scalar()
        if not self._token or token != self._token:
            raise LeaseLost(
                "another service is the leader now",
                hint="nothing was recorded; this process ends, and its supervisor restarts it",
            )

    def _renew(self, connection: Connection) -> int:
        mine = _ROW.where(leader_lease.c.token == self._token)
        if connection.execute(mine.values(beat=leader_lease.c.beat + 1)).rowcount == 0:
            self.lost = True
            return 0
        return self._token

    def _acquire(self, connection: Connection, began: float) -> int:
        """The new token, or 0."""
        row = connection.execute(select(leader_lease).where(leader_lease.c.name == _NAME)).one_or_none()
        if row is None:
            connection.execute(leader_lease.insert().values(name=_NAME, holder=self._name, token=1, beat=0))
            return 1
        self._holder = row.holder
        now, seen = self._clock(), (row.token, row.beat)
        # A database that has hung has kept the holder from renewing: it has another chance.
        if seen != self._seen or now - began > RENEW_SECONDS:
            self._seen, self._seen_at = seen, now
        if row.holder and now - self._seen_at < LEASE_SECONDS:
            return 0
        unchanged = _ROW.where(leader_lease.c.token == row.token, leader_lease.c.beat == row.beat)
        taken = connection.execute(unchanged.values(holder=self._name, token=row.token + 1, beat=0))
        return row.token + 1 if taken.rowcount else 0

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        # Not `writing`: a renewal does not queue behind other writers.
        with self._engine.execution_options(writing=True).begin() as connection:
            yield connection
