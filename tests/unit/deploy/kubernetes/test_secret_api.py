"""The client against a server that answers as the Kubernetes API does."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from deploy.kubernetes.secret_api import SecretApi, open_secret_api
from local_stack.ports import free_port
from shared.errors import Conflict, DependencyUnavailable, OperatorError


class Cluster(ThreadingHTTPServer):
    """Secrets by path, with versions as the API gives them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.secrets: dict[str, dict[str, Any]] = {}
        self.version = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def store(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        self.secrets[path] = body
        return body


class Handler(BaseHTTPRequestHandler):
    server: Cluster

    def do_GET(self) -> None:
        self._answer(200, self.server.secrets.get(self.path))

    def do_POST(self) -> None:
        body = self._body()
        path = f"{self.path}/{body['metadata']['name']}"
        if path in self.server.secrets:
            return self._answer(409, {"message": "already exists"})
        return self._answer(201, self.server.store(path, body))

    def do_PUT(self) -> None:
        body = self._body()
        if (
            body["metadata"]["resourceVersion"]
            != self.server.secrets[self.path]["metadata"]["resourceVersion"]
        ):
            return self._answer(409, {"message": "the object has been modified"})
        return self._answer(200, self.server.store(self.path, body))

    def _body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return found

    def _answer(self, status: int, body: dict[str, Any] | None) -> None:
        if self.headers["Authorization"] != "Bearer of-the-pod":
            status, body = 403, {"message": "forbidden"}
        elif body is None:
            status, body = 404, {"message": "not found"}
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_secret_is_created_read_and_replaced(cluster: Cluster) -> None:
    api = SecretApi(cluster.url, "ml", "of-the-pod")
    assert api.read("keys") is None
    api.create("keys", {"a": b"\x00\xff"})
    found = api.read("keys")
    assert found is not None
    assert found.entries == {"a": b"\x00\xff"}
    api.replace("keys", {"a": b"1", "b": b"2"}, found.version)
    stored = cluster.secrets["/api/v1/namespaces/ml/secrets/keys"]
    assert {name: b64decode(text) for name, text in stored["data"].items()} == {"a": b"1", "b": b"2"}


def test_write_of_another_process_is_a_conflict(cluster: Cluster) -> None:
    api = SecretApi(cluster.url, "ml", "of-the-pod")
    api.create("keys", {"a": b"1"})
    with pytest.raises(Conflict, match="already exists"):
        api.create("keys", {"a": b"2"})
    with pytest.raises(Conflict, match="has been modified"):
        api.replace("keys", {"a": b"2"}, "0")


def test_missing_right_is_named(cluster: Cluster) -> None:
    with pytest.raises(OperatorError, match="keys cannot be read: 403 forbidden") as error:
        SecretApi(cluster.url, "ml", "of-another").read("keys")
    assert "role" in error.value.hint


def test_unreachable_api_is_named() -> None:
    port = free_port()
    with pytest.raises(DependencyUnavailable, match=f"127.0.0.1:{port} cannot be reached"):
        SecretApi(f"http://127.0.0.1:{port}", "ml", "x").read("keys")


def test_pod_reads_its_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OperatorError, match="token cannot be read"):
        open_secret_api(tmp_path)
    (tmp_path / "token").write_text("abc\n")
    (tmp_path / "namespace").write_text("ml")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    api = open_secret_api(tmp_path)
    assert (api._address.netloc, api._token, api._path) == (
        "[fd00::1]:443",
        "abc",
        "/api/v1/namespaces/ml/secrets",
    )
