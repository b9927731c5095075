"""What an answer other than 2xx means to us: who must act, and how."""

from __future__ import annotations

from typing import Any

from shared.errors import CallerError, Conflict, HomeostatError, NotFound
from shared.grafana.access import USER, GrafanaAccess
from shared.grafana.interface import (
    GrafanaAway,
    GrafanaLoginRefused,
    GrafanaPermissionMissing,
    GrafanaUnsure,
)

LONGEST_MESSAGE = 300


class GrafanaRefused(CallerError):
    """A 4xx without a meaning of its own; `said` is Grafana's message alone."""

    def __init__(self, message: str, said: str) -> None:
        super().__init__(message)
        self.said = said


def refusal(access: GrafanaAccess, status: int, answer: Any, doing: str, needs: str) -> HomeostatError:
    """The error for an answer `status` of 400 or more to a request that was to `doing`; `needs` is the permission for it."""
    url, login = access.url.rstrip("/"), access.login
    said = words(access, answer)
    quoted = f": {said}" if said else ""
    if status == 401:
        return GrafanaLoginRefused(
            f"Grafana at {url} does not know the login of {login}{quoted}",
            hint=f"put the token of a service account of that Grafana, not expired, into {login}"
            if access.token
            else f"check {USER} and {login}",
        )
    if status == 403:
        return GrafanaPermissionMissing(
            f"Grafana at {url} does not let the login of {login} {doing}{quoted}",
            hint=f"give its account the permission {needs or 'it lacks'}",
        )
    if status == 404:
        return NotFound(f"Grafana at {url} cannot {doing}{quoted or ': there is no such thing'}")
    if status in (409, 412):
        return Conflict(
            f"Grafana at {url} refuses to {doing}{quoted}", hint="look at what it has, and try again"
        )
    if status in (429, 503):
        return GrafanaAway(
            f"Grafana at {url} is too busy or not ready ({status}){quoted}", hint="try again later"
        )
    if status >= 500:
        return GrafanaUnsure(
            f"Grafana at {url} failed to {doing} ({status}){quoted}", hint="read Grafana's log"
        )
    return GrafanaRefused(f"Grafana at {url} refuses to {doing} ({status}){quoted}", said)


def words(access: GrafanaAccess, answer: Any) -> str:
    """Grafana's message, short and on one line. A server that repeats our login to us does not get it into a log."""
    said = str(answer.get("message") or "") if isinstance(answer, dict) else ""
    for secret in (access.token, access.password):
        if secret:
            said = said.replace(secret, "***")
    return "".join(sign if sign.isprintable() else " " for sign in said)[:LONGEST_MESSAGE]
