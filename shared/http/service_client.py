"""An HTTP client for one of our services; its errors are those of shared/errors.py."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from types import TracebackType
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson

from shared.access.caller import NotPermitted, Unauthenticated
from shared.errors import (
    CallerError,
    Conflict,
    DependencyUnavailable,
    HomeostatError,
    NotFound,
    OperatorError,
)
from shared.tls.client_environment import client_tls, problem_of

TIMEOUT_S = 30.0
# The local key is not sent to other machines.
_WITHOUT_KEY = (
    "no API key was sent: name a file with one in HOMEOSTAT_API_KEY_FILE, such as keys/local.key of the installation; "
    "`homeostat keys create` makes one"
)


class ServiceClient:
    """A client for one service. Raises `Unauthenticated` for 401, `NotPermitted` for 403, `NotFound` for 404, `Conflict` for 409,
    `CallerError` for other 4xx,
    `OperatorError` for 5xx, with that `status`, `DependencyUnavailable` if the service cannot be reached."""

    def __init__(
        self, service: str, base_url: str, *, timeout_s: float = TIMEOUT_S, hint: str = "", api_key: str = ""
    ) -> None:
        self.service = service
        self._hint = hint or f"start it with `homeostat up`, or give its address with --{service}-url"
        self.base_url = base_url.rstrip("/")
        self._timeout_s = timeout_s
        self._api_key = api_key

    def __enter__(self) -> ServiceClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is kept open: each request has a connection of its own."""

    def get(self, path: str, **params: str | int) -> Any:
        """The JSON body of the response to a GET."""
        return self._json("GET", path + (f"?{urlencode(params)}" if params else ""))

    def read(self, path: str) -> str:
        """The text of the response to a GET, such as a page."""
        return self._send("GET", path).decode("utf-8", "replace")

    def post(self, path: str, body: dict[str, object]) -> Any:
        """The JSON body of the response to a POST."""
        return self._json("POST", path, orjson.dumps(body))

    def _json(self, method: str, path: str, content: bytes | None = None) -> Any:
        try:
            return orjson.loads(self._send(method, path, content))
        except orjson.JSONDecodeError as error:
            raise OperatorError(
                f"{self.base_url}{path} returned a body that is not JSON",
                hint=f"check that {self.service} listens on this address",
            ) from error

    def _send(self, method: str, path: str, content: bytes | None = None) -> bytes:
        try:
            status, body = send_request(
                method,
                self.base_url + path,
                content=content,
                timeout_s=self._timeout_s,
                api_key=self._api_key,
            )
        except (OSError, HTTPException, ValueError) as error:
            problem, hint = problem_of(error)
            reason = problem or getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise DependencyUnavailable(
                f"{self.service} cannot be reached at {self.base_url}: {reason}", hint=hint or self._hint
            ) from error
        if status >= 400:
            raise _error_of(self.service, status, body, has_key=bool(self._api_key))
        return body


def send_request(
    method: str,
    url: str,
    *,
    content: bytes | None = None,
    timeout_s: float = TIMEOUT_S,
    api_key: str = "",
    authorization: str = "",
) -> tuple[int, bytes]:
    """Status and body of one HTTP request, sent directly and never through a proxy. Python's own client: httpx takes
    longer to import than a command may take to start. Certificates are those of the settings `HOMEOSTAT_TLS_…`.
    `authorization`: value of the header, where it is not an API key.

    Raises `OSError`, `HTTPException` or, for a wrong URL, `ValueError`.
    """
    address = urlsplit(url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ValueError(f"{url!r} is not an http:// or https:// URL")
    connection = (
        HTTPSConnection(address.hostname, address.port, timeout=timeout_s, context=client_tls().context())
        if address.scheme == "https"
        else HTTPConnection(address.hostname, address.port, timeout=timeout_s)
    )
    headers: Mapping[str, str] = {"Accept": "application/json"}
    if api_key or authorization:
        headers = {**headers, "Authorization": authorization or f"Bearer {api_key}"}
    if content is not None:
        headers = {**headers, "Content-Type": "application/json"}
    path = (address.path or "/") + (f"?{address.query}" if address.query else "")
    try:
        connection.request(method, path, body=content, headers=dict(headers))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _error_of(service: str, status: int, content: bytes, *, has_key: bool) -> HomeostatError:
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        body = {}
    details = body if isinstance(body, dict) else {}
    message = str(details.get("error") or details.get("detail") or f"{service} returned status {status}")
    hint = str(details.get("hint") or "")
    if details.get("error_id"):
        message += f" (error_id {details['error_id']} in its log)"
    if status == 401:
        return Unauthenticated(message, hint=hint if has_key else _WITHOUT_KEY)
    if status == 403:
        return NotPermitted(message, hint=hint)
    if status == 404:
        return NotFound(message, hint=hint)
    if status == 409:
        return Conflict(message, hint=hint)
    if status < 500:
        return CallerError(message, hint=hint)
    problem = OperatorError(
        f"{service}: {message}", hint=hint or f"read the log of {service}; `homeostat status` shows its path"
    )
    problem.status = status
    return problem


def items(body: Any, name: str) -> list[dict[str, Any]]:
    """The list in a response body: the body itself, or its field `name`."""
    found = body.get(name, []) if isinstance(body, dict) else body
    return [dict(item) for item in found]
