"""What the buttons do: each sends one request to retraining, with the credential of the person."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
import orjson

from services.console.http.listener_check import check_listener
from shared.access.caller import NotPermitted
from shared.errors import Conflict, DependencyUnavailable, HomeostatError, NotFound

TIMEOUT_S = 30.0
MAXIMUM_NAME = 1000
_WAITS_FOR = {"suggested": "awaits its start", "waiting_for_approval": "awaits approval of its new version"}


@dataclass(frozen=True)
class Actor:
    """Who acts: the name to record, and the `Authorization` header by which retraining authenticates the person itself."""

    name: str
    authorization: str = field(repr=False)


def path_segment(name: str) -> str:
    """The name quoted as a segment of a URL. Raises NotFound for `.` and `..`, which lead to another path, and for long ones."""
    if name in (".", "..") or len(name) > MAXIMUM_NAME:
        raise NotFound(f"there is nothing named {name[:80]}", hint="go back to the console")
    return quote(name, safe="")


class ActionRefused(HomeostatError):
    """An error response of retraining, with its status and message."""

    def __init__(self, status: int, message: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class ActionClient:
    """Sends actions to retraining; `retraining_url` is called for each.

    `owners`: ids of the users who may listen there if it is a port of this machine without TLS.
    """

    def __init__(
        self, client: httpx.AsyncClient, retraining_url: Callable[[], str], owners: Collection[int] = ()
    ) -> None:
        self._client = client
        self._retraining_url = retraining_url
        self._owners = owners

    async def answer(
        self, run_id: str, action: str, actor: Actor, *, state: str, gate_digest: str
    ) -> dict[str, Any]:
        """Approve or reject a run as it was shown: in `state`, with the gate result `gate_digest`.

        Raises Conflict if the run has changed: approval of a training is not approval of the version it produced.
        """
        path = f"/runs/{path_segment(run_id)}"
        run = await self._send(actor, "GET", path)
        if (run.get("state"), run.get("gate_digest")) != (state, gate_digest):
            now = str(run.get("state"))
            change = _WAITS_FOR.get(now, f"is {now}") if now != state else "has another gate result"
            raise Conflict(
                f"nothing was done: run {run_id} has changed since this page was rendered, it {change}",
                hint="check it again, then decide",
            )
        return await self._send(actor, "POST", f"{path}/{action}", {"actor": actor.name})

    async def acknowledge(
        self, cause_key: str, actor: Actor, *, note: str, older: Mapping[str, object]
    ) -> dict[str, Any]:
        """Record that a person has seen a decision, and the `older` ones as they were shown. The first acknowledgement stays."""
        body: dict[str, object] = {"actor": actor.name, **({"note": note} if note else {}), **older}
        return await self._send(actor, "POST", f"/causes/{path_segment(cause_key)}/acknowledge", body)

    async def roll_back(
        self, model: str, actor: Actor, *, reason: str, to_generation: int, expected_generation: int
    ) -> dict[str, Any]:
        """Release the version of `to_generation` again, if `expected_generation` is still served."""
        body: dict[str, object] = {
            "actor": actor.name,
            "reason": reason,
            "to_generation": to_generation,
            "expected_generation": expected_generation,
        }
        reply = await self._send(actor, "POST", f"/models/{path_segment(model)}/rollback", body)
        return dict(reply.get("release") or {})

    async def _send(
        self, actor: Actor, method: str, path: str, body: dict[str, object] | None = None
    ) -> dict[str, Any]:
        arguments: dict[str, Any] = {"json": body} if body is not None else {}
        headers = {"Authorization": actor.authorization}
        url = self._retraining_url()
        check_listener(url, self._owners)
        try:
            response = await self._client.request(
                method, url + path, timeout=TIMEOUT_S, headers=headers, **arguments
            )
        except httpx.ConnectError as error:
            raise DependencyUnavailable(
                "nothing was done: retraining does not respond", hint="`homeostat status` shows its log file"
            ) from error
        except httpx.HTTPError as error:
            raise DependencyUnavailable(
                "retraining did not respond in time; the action may or may not have been done",
                hint="the page shows the result when retraining responds; you can safely repeat the action",
            ) from error
        try:
            reply = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            reply = None
        if not isinstance(reply, dict):
            reply = {}
        if response.status_code == 401:
            # Not 401 here: the console does accept the credential, and the person is logged in.
            raise NotPermitted(
                f"nothing was done: retraining does not accept the credential of {actor.name}: {reply.get('error')}",
                hint="log in with an API key that retraining knows: both read HOMEOSTAT_API_KEYS",
            )
        if response.status_code >= 400:
            message = str(reply.get("error") or f"retraining returned status {response.status_code}")
            raise ActionRefused(response.status_code, message, str(reply.get("hint") or ""))
        return reply
