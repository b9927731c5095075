"""What a user sets for a Postgres and an object store with TLS works: these settings are those of their clients."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from local_stack.certificates import CertificateFolder, create_certificates
from services.retraining.ledger.engine import open_engine, reading
from shared.errors import OperatorError
from tests.fakes.s3_server import fake_s3
from tests.postgres import running_postgres
from tests.waiting import bound, eventually

ROOT = Path(__file__).parents[3]
USE = """
import sys
from pathlib import Path
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from shared.errors import DependencyUnavailable
from shared.models.signed_versions.installation_keys import ensure_keys
from shared.stores.model_store import open_model_store

store = open_model_store("s3://bucket/models", ensure_keys(Path(sys.argv[1])))
try:
    print(store.models())
except DependencyUnavailable as error:
    print(error.hint)
    raise SystemExit(3)
write_deltalake("s3://bucket/lake/t", pa.table({"a": [1, 2]}))
write_deltalake("s3://bucket/lake/t", pa.table({"a": [3]}), mode="append")
print(DeltaTable("s3://bucket/lake/t").to_pyarrow_table().num_rows)
"""


@pytest.fixture
def files(tmp_path: Path) -> CertificateFolder:
    return create_certificates(tmp_path / "tls")


@pytest.fixture
def database(files: CertificateFolder) -> Iterator[str]:
    """A database of a server that accepts connections with TLS only."""
    with running_postgres() as server:
        url = server.new_database()
        server.require_tls(files.server, files.server_key)
        eventually(lambda: refuses_plain(url), "connections without TLS are refused")
        yield url


def refuses_plain(url: str) -> bool:
    try:
        open_engine(f"{url}?sslmode=disable").dispose()
    except OperatorError:
        return True
    return False


def test_ledger_verifies_the_database(database: str, files: CertificateFolder, tmp_path: Path) -> None:
    engine = open_engine(f"{database}?sslmode=verify-full&sslrootcert={files.ca}")
    with reading(engine) as connection:
        found = connection.execute(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
        assert found.scalar_one() is True
    engine.dispose()
    other = create_certificates(tmp_path / "other").ca
    with pytest.raises(OperatorError, match="certificate verify failed") as error:
        open_engine(f"{database}?sslmode=verify-full&sslrootcert={other}")
    assert error.value.hint.startswith("check sslmode, sslrootcert")
    with pytest.raises(OperatorError, match="sslrootcert|root certificate") as error:
        open_engine(f"{database}?sslmode=verify-full&sslrootcert={tmp_path / 'none'}")
    assert error.value.hint.startswith("check sslmode, sslrootcert")


def used(url: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Model store and lake in a process of its own: libraries read these variables once."""
    return subprocess.run(
        [sys.executable, "-c", USE, str(home)],
        cwd=ROOT,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_REGION": "none",
            "AWS_ENDPOINT_URL": url,
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=bound(60),
        check=False,
    )


def test_object_store_of_a_private_ca_is_used(files: CertificateFolder, tmp_path: Path) -> None:
    with fake_s3(files) as store:
        done = used(store.url, tmp_path, SSL_CERT_FILE=str(files.ca))
        assert done.stdout.split() == ["[]", "3"], done.stderr
        assert [key for key in store.objects if key.startswith("lake/t/_delta_log/")]


def test_unknown_ca_of_an_object_store_is_named(files: CertificateFolder, tmp_path: Path) -> None:
    with fake_s3(files) as store:
        done = used(store.url, tmp_path)
        assert (done.returncode, store.requests) == (3, 0), done.stderr
        assert done.stdout.startswith("set SSL_CERT_FILE to a PEM file with the CA")


def test_object_store_without_tls_must_be_allowed(tmp_path: Path) -> None:
    with fake_s3(None) as store:
        assert used(store.url, tmp_path).returncode != 0
        assert store.requests == 0
        done = used(store.url, tmp_path, AWS_ALLOW_HTTP="true")
        assert done.stdout.split() == ["[]", "3"], done.stderr
