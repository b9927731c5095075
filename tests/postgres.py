"""A real PostgreSQL for tests: a cluster of its own in a temporary folder, without fsync, on a free port, ended by its pid."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import psycopg
import pytest

from local_stack.ports import free_port
from tests.waiting import bound, time_factor

HOST = "127.0.0.1"
USER = "homeostat"
_SERVICE_USERS = ("postgres", "nobody")
_INSTALL = "apt-get install -y --no-install-recommends postgresql"


class Postgres:
    """A running server. `new_database` gives each test one of its own."""

    def __init__(self, programs: Path, data: Path, port: int, user: pwd.struct_passwd | None) -> None:
        self.port = port
        self.log = data.parent / "server.log"
        self._programs = programs
        self._data = data
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Make the cluster."""
        where = ["-D", str(self._data), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        made = subprocess.run(
            [str(self._programs / "initdb"), *where],
            capture_output=True,
            text=True,
            timeout=bound(120),
            cwd="/",
            **self._as_user(),
        )
        if made.returncode:
            pytest.fail(f"initdb failed: {made.stdout[-1000:]}{made.stderr[-1000:]}")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = {
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "max_connections": "100",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        place = ["-h", HOST, "-p", str(self.port), "-k", str(self._data.parent)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *place, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                **self._as_user(),
            )
        deadline = time.monotonic() + 60 * time_factor()
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL does not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it at once; connections break as they would if the machine were gone."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            try:
                self._process.wait(timeout=bound(20))
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(timeout=bound(20))
        self._process = None

    def require_tls(self, certificate: Path, key: Path) -> None:
        """Encrypt connections, and refuse others."""
        for source, name in ((certificate, "server.crt"), (key, "server.key")):
            target = self._data / name
            shutil.copy(source, target)
            target.chmod(0o600)
            if self._user is not None:
                os.chown(target, self._user.pw_uid, self._user.pw_gid)
        (self._data / "pg_hba.conf").write_text("hostssl all all all trust\nlocal all all trust\n")
        with self._connect() as connection:
            connection.execute("ALTER SYSTEM SET ssl = on")
            connection.execute("SELECT pg_reload_conf()")

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Stop all its processes: connections stay open, and nothing is answered."""
        assert self._process is not None
        server = psutil.Process(self._process.pid)
        stopped = [server, *server.children(recursive=True)]
        for process in stopped:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        try:
            yield
        finally:
            for process in stopped:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    def new_database(self, template: str = "template1") -> str:
        """The URL of an empty database, or of a copy of `template`, which nobody may be connected to."""
        name = f"test_{uuid4().hex[:12]}"
        with self._connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        return f"postgresql://{USER}@{HOST}:{self.port}/{name}"

    def cut_off(self, database: str) -> int:
        """Break every connection to a database, and let nobody in any more; how many there were."""
        name = database.rsplit("/", 1)[-1]
        with self._connect() as connection:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
            broken = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )
            return broken.rowcount

    def let_in(self, database: str) -> None:
        """Undo `cut_off`."""
        name = database.rsplit("/", 1)[-1]
        with self._connect() as connection:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=HOST, port=self.port, user=USER, dbname="postgres", autocommit=True, connect_timeout=5
        )

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A server from the programs of this machine; without them the test is skipped saying so, and fails under CI=true."""
    programs = _programs()
    user = _service_user() if os.geteuid() == 0 else None
    # Not below pytest's own folder, which only its owner may enter: the server refuses to be root.
    folder = Path(tempfile.mkdtemp(prefix="homeostat-postgres-"))
    try:
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        server = Postgres(programs, folder / "data", free_port(), user)
        try:
            server.create()
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    found = shutil.which("initdb")
    candidates = [Path(found).resolve().parent] if found else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in candidates:
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    _missing(f"PostgreSQL is not installed: {_INSTALL}")
    raise AssertionError


def _service_user() -> pwd.struct_passwd:
    for name in _SERVICE_USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    _missing(f"PostgreSQL refuses to run as root, and there is no user {' or '.join(_SERVICE_USERS)}")
    raise AssertionError


def _missing(what: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)
