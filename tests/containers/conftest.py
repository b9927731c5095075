"""What the container tests share: a Postgres set up by the composition's own script, and the composition itself, running."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe

import pytest

from local_stack.kafka.broker import Broker
from local_stack.ports import free_port
from tests.containers.composition import ROOT, load
from tests.containers.images import environment_of
from tests.containers.project import Project
from tests.containers.sandbox import wait_for, why_not
from tests.waiting import bound

LOCKS = ("prediction_log", "drift", "retraining", "mlflow", "console", "cli", "inference_cpu", "inference")
NOBODY = 65534


def missing(what: str) -> None:
    """Skip for what this machine lacks; fail where nothing may be skipped."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def environments() -> None:
    """The environment of every image, from uv's cache or, where that lacks something, from the package index."""
    for lock in LOCKS:
        try:
            environment_of(lock)
        except RuntimeError as error:
            missing(str(error))


@pytest.fixture(scope="session")
def sandboxes(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whether this machine can make sandboxes."""
    problem = why_not(tmp_path_factory.mktemp("probe"))
    if problem:
        missing(problem)


@dataclass(frozen=True)
class Postgres:
    """A running server with the databases of deploy/containers/postgres/ledger.sql, and the password of their owner."""

    port: int
    ledger_password: str


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """PostgreSQL as the image starts it: passwords everywhere, and our script run once by its administrator."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        missing("PostgreSQL is not installed; `make packages` does it")
    programs = found[-1].parent
    # Not below pytest's own folder, which it keeps from every other user of the machine.
    folder = Path(tempfile.mkdtemp(prefix="homeostat-postgres-"))
    # The server refuses to run as root.
    lower = (
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
    )
    administrator, owner = token_urlsafe(18), token_urlsafe(18)
    (folder / "administrator").write_text(administrator)
    (folder / "ledger_password").write_text(owner)
    folder.chmod(0o755)
    data = folder / "data"
    data.mkdir()
    if lower:
        os.chown(data, NOBODY, NOBODY)
        os.chown(folder, NOBODY, NOBODY)
    service = load()["services"]["postgres"]
    arguments = service["environment"]["POSTGRES_INITDB_ARGS"].split()
    subprocess.run(
        [
            *lower,
            programs / "initdb",
            *arguments,
            "--username=postgres",
            f"--pwfile={folder / 'administrator'}",
            data,
        ],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    port = free_port()
    options = [
        "-c",
        "fsync=off",
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        f"unix_socket_directories={folder}",
    ]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*lower, programs / "postgres", "-D", data, "-p", str(port), *options],
            stdout=log,
            stderr=log,
            cwd=folder,
        )
    try:
        ready = service["healthcheck"]["test"][1:]
        ready = [programs / ready[0], *ready[1:], f"--port={port}"]
        wait_for(
            lambda: subprocess.run(ready, capture_output=True).returncode == 0,
            seconds=30,
            what=(folder / "log").read_text(),
        )
        # The script as the image runs it; the secret lies elsewhere here.
        script = (ROOT / "deploy/containers/postgres/ledger.sql").read_text(encoding="utf-8")
        script = script.replace("/run/secrets/ledger_password", str(folder / "ledger_password"))
        psql = [
            "psql",
            "-v",
            "ON_ERROR_STOP=1",
            "--no-psqlrc",
            "--host=127.0.0.1",
            f"--port={port}",
            "postgres",
        ]
        login = {"PATH": f"{programs}:/usr/bin:/bin", "PGUSER": "postgres", "PGPASSWORD": administrator}
        subprocess.run(psql, input=script, text=True, check=True, capture_output=True, env=login)
        yield Postgres(port, owner)
    finally:
        server.terminate()
        server.wait(bound(20))
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def project(
    environments: None,
    sandboxes: None,
    kafka_broker: Broker,
    postgres: Postgres,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Project]:
    """The composition on a real Kafka and a real Postgres; nothing runs yet."""
    folder = tmp_path_factory.mktemp("project")
    elsewhere = {"kafka:9092": kafka_broker.bootstrap, "postgres:5432": f"127.0.0.1:{postgres.port}"}
    made = Project(load(), folder, elsewhere)
    made.secret("ledger_password", postgres.ledger_password)
    made.secret("grafana_password", "no Grafana runs here")
    made.api_keys()
    try:
        yield made
    finally:
        made.kill()
        shutil.rmtree(folder, ignore_errors=True)
