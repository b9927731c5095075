"""Opens and migrates the ledger's database: SQLite in WAL mode, or Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from shared.errors import DependencyUnavailable, OperatorError

_MIGRATIONS = Path(__file__).with_name("migrations")
_LOCK_SECONDS = 30
_TLS_HINT = "check sslmode, sslrootcert, sslcert and sslkey in the URL of HOMEOSTAT_RETRAINING_LEDGER"
_LOCK = crc32(b"homeostat ledger")
# A network or machine that is gone is noticed within seconds. libpq's names and units: seconds, tcp_user_timeout in ms.
_POSTGRES = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
# A service that is stopped within a transaction holds its locks no longer than this.
_IDLE_IN_TRANSACTION = "SET SESSION idle_in_transaction_session_timeout = '5s'"


class LeaseLost(DependencyUnavailable):
    """This process is not the leader any more: another one has the lease, and executes the runs."""


def open_engine(url: str) -> Engine:
    """The engine for `url`, migrated. Raises OperatorError if the database cannot be opened or written."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database and parsed.database != ":memory:":
            _make_folder(Path(parsed.database).parent)
        engine = create_engine(url, connect_args={"timeout": _LOCK_SECONDS, "check_same_thread": False})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    elif parsed.get_backend_name() == "postgresql":
        limits = {name: value for name, value in _POSTGRES.items() if name not in parsed.query}
        engine = create_engine(
            parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True, connect_args=limits
        )
        event.listen(engine, "connect", _prepare_postgres)
    else:
        raise OperatorError(
            f"the ledger does not support {parsed.get_backend_name()}",
            hint="set HOMEOSTAT_RETRAINING_LEDGER to a sqlite or postgresql URL",
        )
    try:
        _migrate(engine)
    except SQLAlchemyError as error:
        engine.dispose()
        raise OperatorError(
            f"the ledger at {parsed.render_as_string(hide_password=True)} cannot be opened: {_cause(error)}",
            hint=_TLS_HINT
            if "certificate" in str(error) or "SSL" in str(error)
            else "check that the database is writable and has free space, or set HOMEOSTAT_RETRAINING_LEDGER",
        ) from error
    except CommandError as error:
        engine.dispose()
        raise OperatorError(
            f"the ledger at {parsed.render_as_string(hide_password=True)} was created by another version of Homeostat: {error}",
            hint="run the version that created it, or set HOMEOSTAT_RETRAINING_LEDGER to an empty database",
        ) from error
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """An exclusive write transaction: no other writer changes what it has read. Raises DependencyUnavailable.

    An engine with the execution option `fence` calls it first in each transaction: it raises LeaseLost.
    """
    try:
        with engine.execution_options(writing=True).begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            fence = connection.get_execution_options().get("fence")
            if fence is not None:
                fence(connection)
            yield connection
    except SQLAlchemyError as error:
        raise _unavailable(error) from error


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A consistent read. Raises DependencyUnavailable."""
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise _unavailable(error) from error


def _unavailable(error: SQLAlchemyError) -> DependencyUnavailable:
    return DependencyUnavailable(
        f"the ledger does not respond: {_cause(error)}",
        hint="free disk space or start the database; nothing was recorded",
    )


def _cause(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(
            f"{folder} cannot be created: {error.strerror}",
            hint="set HOMEOSTAT_HOME to a folder that you can write to",
        ) from error


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # _begin_sqlite begins transactions, not the driver
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _prepare_postgres(connection: Any, _: Any) -> None:
    connection.execute(_IDLE_IN_TRANSACTION)
    connection.commit()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads and later writes would fail if another writer committed in between: take the lock at the start.
    immediate = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _migrate(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with engine.execution_options(writing=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
