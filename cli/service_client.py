"""The services' HTTP doors, as the commands see them: addresses, requests, and errors in our words."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from local_stack.settings import LocalStackSettings
from local_stack.state import read_state
from shared.errors import (
    CallerError,
    Conflict,
    DependencyUnavailable,
    HomeostatError,
    NotFound,
    OperatorError,
)

if TYPE_CHECKING:  # it takes a tenth of a second, and `homeostat --help` asks nobody
    import httpx

TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Addresses:
    """Base URLs of the services."""

    inference: str
    drift: str
    retraining: str


def addresses(settings: LocalStackSettings) -> Addresses:
    """Where the services are: an option or setting first, else the running stack of this home, else the default ports."""
    found = read_state(settings.home)
    ports = found.ports if found is not None else {}

    def base(given: str, name: str, port: int) -> str:
        return given.rstrip("/") or f"http://{settings.host}:{ports.get(name, port)}"

    return Addresses(
        inference=base(settings.inference_url, "inference", settings.inference_port),
        drift=base(settings.drift_url, "drift", settings.drift_port),
        retraining=base(settings.retraining_url, "retraining", settings.retraining_port),
    )


class Door:
    """One service's HTTP door. Raises our errors: `NotFound` for 404, `Conflict` for 409, `CallerError` for other 4xx,
    `OperatorError` for 5xx, `DependencyUnavailable` when it does not answer."""

    def __init__(self, service: str, base_url: str, *, timeout_s: float = TIMEOUT_S, hint: str = "") -> None:
        import httpx

        self.service = service
        self._hint = hint or f"start it with `homeostat up`, or say where it is with --{service}-url"
        self.base_url = base_url
        # The services are our own: no proxy of the environment stands between.
        self._client = httpx.Client(base_url=base_url, timeout=timeout_s, trust_env=False)

    def __enter__(self) -> Door:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, **params: str | int) -> Any:
        """The JSON a GET answers."""
        return self._json("GET", path, params=params, headers={"Accept": "application/json"})

    def read(self, path: str) -> str:
        """The text a GET answers, such as a page."""
        return str(self._answer("GET", path).text)

    def post(self, path: str, body: dict[str, object]) -> Any:
        """The JSON a POST answers."""
        return self._json("POST", path, json=body)

    def _json(self, method: str, path: str, **arguments: Any) -> Any:
        response = self._answer(method, path, **arguments)
        try:
            return response.json()
        except ValueError as error:
            raise OperatorError(
                f"{self.base_url}{path} answers something that is not JSON",
                hint=f"check that {self.service} listens there",
            ) from error

    def _answer(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        import httpx

        try:
            response = self._client.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise DependencyUnavailable(
                f"{self.service} does not answer at {self.base_url}: {error or type(error).__name__}",
                hint=self._hint,
            ) from error
        if response.status_code >= 400:
            raise _refusal(self.service, response)
        return response


def _refusal(service: str, response: httpx.Response) -> HomeostatError:
    try:
        body = response.json()
    except ValueError:
        body = {}
    details = body if isinstance(body, dict) else {}
    message = str(
        details.get("error") or details.get("detail") or f"{service} answers {response.status_code}"
    )
    hint = str(details.get("hint") or "")
    if details.get("error_id"):
        message += f" (error id {details['error_id']}, in its log)"
    if response.status_code == 404:
        return NotFound(message, hint=hint)
    if response.status_code == 409:
        return Conflict(message, hint=hint)
    if response.status_code < 500:
        return CallerError(message, hint=hint)
    return OperatorError(
        f"{service}: {message}", hint=hint or f"read {service}'s log; `homeostat status` names it"
    )


def items(answer: Any, name: str) -> list[dict[str, Any]]:
    """The list in an answer, whether it stands alone or under `name`."""
    found = answer.get(name, []) if isinstance(answer, dict) else answer
    return [dict(item) for item in found]
