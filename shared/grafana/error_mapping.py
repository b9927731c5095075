"""Maps Grafana's error responses to our errors."""

from __future__ import annotations

from typing import Any

from shared.errors import CallerError, Conflict, HomeostatError, NotFound
from shared.grafana.access import URL, USER, GrafanaAccess
from shared.grafana.interface import (
    GrafanaForbidden,
    GrafanaOutcomeUnknown,
    GrafanaUnauthorized,
    GrafanaUnavailable,
)

MAX_MESSAGE_LENGTH = 300
NOT_GRAFANA = f"check {URL}: it must be Grafana's base URL, without a proxy that requires its own login"


class GrafanaClientError(CallerError):
    """Any other client error (4xx); `grafana_message` is Grafana's own message."""

    def __init__(self, message: str, grafana_message: str) -> None:
        super().__init__(message)
        self.grafana_message = grafana_message


def error_for(access: GrafanaAccess, status: int, answer: Any, doing: str, needs: str) -> HomeostatError:
    """The error for a response with `status` 400 or above to the request `doing`; `needs` is the required permission."""
    url, login = access.url.rstrip("/"), access.login
    message = message_of(access, answer)
    quoted = f": {message}" if message else ""
    if status == 401:
        return GrafanaUnauthorized(
            f"Grafana at {url} rejects the credentials of {login}{quoted}",
            hint=f"set {login} to a valid service account token of that Grafana"
            if access.token
            else f"check {USER} and {login}",
        )
    if status == 403:
        return GrafanaForbidden(
            f"Grafana at {url} does not permit {login} to {doing}{quoted}",
            hint=f"grant its account {needs or 'the missing permission'}",
        )
    if status == 404:
        return NotFound(f"Grafana at {url} cannot {doing}{quoted or ': not found'}")
    if status in (409, 412):
        return Conflict(
            f"Grafana at {url} refuses to {doing}{quoted}",
            hint="check the current state in Grafana and try again",
        )
    if status in (429, 503):
        return GrafanaUnavailable(
            f"Grafana at {url} is overloaded or not ready ({status}){quoted}", hint="try again later"
        )
    if status >= 500:
        return GrafanaOutcomeUnknown(
            f"Grafana at {url} failed to {doing} ({status}){quoted}", hint="check Grafana's log"
        )
    return GrafanaClientError(f"Grafana at {url} refuses to {doing} ({status}){quoted}", message)


def message_of(access: GrafanaAccess, answer: Any) -> str:
    """Grafana's message, shortened, on one line, with our credentials masked."""
    message = str(answer.get("message") or "") if isinstance(answer, dict) else ""
    for secret in (access.token, access.password):
        if secret:
            message = message.replace(secret, "***")
    return "".join(char if char.isprintable() else " " for char in message)[:MAX_MESSAGE_LENGTH]
