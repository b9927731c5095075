"""Secrets of the Kubernetes API, as a pod's service account may read and write them. Standard library only.

The API is described at https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1/.
"""

from __future__ import annotations

import json
import os
import ssl
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from shared.errors import Conflict, DependencyUnavailable, HomeostatError, OperatorError

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Secret:
    """The `entries` of a Secret, and the `version` of the object that a replacement must name."""

    entries: Mapping[str, bytes]
    version: str


class SecretApi:
    """Secrets of one namespace at the API server `url`."""

    def __init__(self, url: str, namespace: str, token: str, ca: Path | None = None) -> None:
        self._address = urlsplit(url)
        self._path = f"/api/v1/namespaces/{namespace}/secrets"
        self._token = token
        self._ca = ca

    def read(self, name: str) -> Secret | None:
        """A Secret; None if it does not exist. Raises OperatorError."""
        status, body = self._request("GET", f"{self._path}/{name}")
        if status == 404:
            return None
        if status != 200:
            raise _refused("read", name, status, body)
        entries = {key: b64decode(value) for key, value in (body.get("data") or {}).items()}
        return Secret(entries, str(body["metadata"]["resourceVersion"]))

    def create(self, name: str, entries: Mapping[str, bytes]) -> None:
        """Create a Secret. Raises Conflict if it exists by now, and OperatorError."""
        status, body = self._request("POST", self._path, _object(name, entries))
        if status != 201:
            raise _refused("created", name, status, body)

    def replace(self, name: str, entries: Mapping[str, bytes], version: str) -> None:
        """Replace the entries of a Secret. Raises Conflict if it has another `version` by now, and OperatorError."""
        status, body = self._request("PUT", f"{self._path}/{name}", _object(name, entries, version))
        if status != 200:
            raise _refused("replaced", name, status, body)

    def _request(self, method: str, path: str, content: object = None) -> tuple[int, dict[str, Any]]:
        try:
            connection = self._connection()
            try:
                headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
                connection.request(method, path, json.dumps(content) if content else None, headers)
                answer = connection.getresponse()
                text = answer.read()
            finally:
                connection.close()
        except (OSError, HTTPException) as error:
            raise DependencyUnavailable(
                f"the Kubernetes API at {self._address.netloc} cannot be reached: {error or type(error).__name__}",
                hint="check network policies and the service account of this pod",
            ) from error
        try:
            body = json.loads(text)
        except ValueError:
            body = {"message": text[:200].decode("utf-8", "replace")}
        return answer.status, body

    def _connection(self) -> HTTPConnection:
        host, port = self._address.hostname or "", self._address.port
        if self._address.scheme == "http":
            return HTTPConnection(host, port, timeout=TIMEOUT_S)
        context = ssl.create_default_context(cafile=self._ca)
        return HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)


def open_secret_api(account: Path = ACCOUNT) -> SecretApi:
    """The API of the cluster that this pod runs in. Raises OperatorError outside of a cluster."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    try:
        token, namespace = ((account / name).read_text().strip() for name in ("token", "namespace"))
    except OSError as error:
        raise OperatorError(
            f"{error.filename} cannot be read: {error.strerror}",
            hint="run this in a pod with a service account and its token",
        ) from error
    address = f"[{host}]" if host and ":" in host else host
    return SecretApi(f"https://{address}:{port}", namespace, token, account / "ca.crt")


def _object(name: str, entries: Mapping[str, bytes], version: str = "") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"name": name, **({"resourceVersion": version} if version else {})},
        "data": {key: b64encode(value).decode() for key, value in entries.items()},
    }


def _refused(what: str, name: str, status: int, body: dict[str, Any]) -> HomeostatError:
    message = f"the secret {name} cannot be {what}: {status} {body.get('message', '')}"
    if status == 409:
        return Conflict(message, hint="another process has changed it: run this again")
    return OperatorError(message, hint="check the role of the service account")
