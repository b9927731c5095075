"""An HTTP client for one of our services; its errors are those of shared/errors.py."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from shared.errors import (
    CallerError,
    Conflict,
    DependencyUnavailable,
    HomeostatError,
    NotFound,
    OperatorError,
)

if TYPE_CHECKING:  # importing httpx takes 0.1 s, and `homeostat --help` sends no request
    import httpx

TIMEOUT_S = 30.0


class ServiceClient:
    """A client for one service. Raises `NotFound` for 404, `Conflict` for 409, `CallerError` for other 4xx,
    `OperatorError` for 5xx, `DependencyUnavailable` if the service cannot be reached."""

    def __init__(self, service: str, base_url: str, *, timeout_s: float = TIMEOUT_S, hint: str = "") -> None:
        import httpx

        self.service = service
        self._hint = hint or f"start it with `homeostat up`, or give its address with --{service}-url"
        self.base_url = base_url
        # Our services are reached directly, never through a proxy from the environment.
        self._client = httpx.Client(base_url=base_url, timeout=timeout_s, trust_env=False)

    def __enter__(self) -> ServiceClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, **params: str | int) -> Any:
        """The JSON body of the response to a GET."""
        return self._json("GET", path, params=params, headers={"Accept": "application/json"})

    def read(self, path: str) -> str:
        """The text of the response to a GET, such as a page."""
        return str(self._send("GET", path).text)

    def post(self, path: str, body: dict[str, object]) -> Any:
        """The JSON body of the response to a POST."""
        return self._json("POST", path, json=body)

    def _json(self, method: str, path: str, **arguments: Any) -> Any:
        response = self._send(method, path, **arguments)
        try:
            return response.json()
        except ValueError as error:
            raise OperatorError(
                f"{self.base_url}{path} returned a body that is not JSON",
                hint=f"check that {self.service} listens on this address",
            ) from error

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        import httpx

        try:
            response = self._client.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise DependencyUnavailable(
                f"{self.service} cannot be reached at {self.base_url}: {error or type(error).__name__}",
                hint=self._hint,
            ) from error
        if response.status_code >= 400:
            raise _error_of(self.service, response)
        return response


def _error_of(service: str, response: httpx.Response) -> HomeostatError:
    try:
        body = response.json()
    except ValueError:
        body = {}
    details = body if isinstance(body, dict) else {}
    message = str(
        details.get("error") or details.get("detail") or f"{service} returned status {response.status_code}"
    )
    hint = str(details.get("hint") or "")
    if details.get("error_id"):
        message += f" (error_id {details['error_id']} in its log)"
    if response.status_code == 404:
        return NotFound(message, hint=hint)
    if response.status_code == 409:
        return Conflict(message, hint=hint)
    if response.status_code < 500:
        return CallerError(message, hint=hint)
    return OperatorError(
        f"{service}: {message}", hint=hint or f"read the log of {service}; `homeostat status` shows its path"
    )


def items(body: Any, name: str) -> list[dict[str, Any]]:
    """The list in a response body: the body itself, or its field `name`."""
    found = body.get(name, []) if isinstance(body, dict) else body
    return [dict(item) for item in found]
