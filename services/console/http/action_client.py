"""What the buttons do: each asks retraining, in the name of the person who pressed it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx
import orjson

from services.console.aggregation.fields import mapping, text
from shared.errors import Conflict, DependencyUnavailable, HomeostatError

TIMEOUT_S = 30.0
_DOES = {"suggested": "waits to be started", "waiting_for_approval": "waits to be promoted"}


class Refused(HomeostatError):
    """Retraining said no; `status` and words are its own."""

    def __init__(self, status: int, message: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class ActionClient:
    """Speaks to retraining, wherever `where` says it is now."""

    def __init__(self, client: httpx.AsyncClient, where: Callable[[], str]) -> None:
        self._client = client
        self._where = where

    async def answer(
        self, run_id: str, word: str, *, actor: str, state: str, gate_digest: str
    ) -> dict[str, Any]:
        """Approve or reject a run, as it was shown: in `state`, with the proof `gate_digest`.

        Raises Conflict where the run has moved on: who let a training start has not yet said yes to what it made.
        """
        place = f"/runs/{quote(run_id, safe='')}"
        run = await self._send("GET", place)
        now, digest = text(run, "state"), text(run, "gate_digest")
        if (now, digest) != (state, gate_digest):
            about = _DOES.get(now, f"is {now}") if now != state else "was judged anew"
            raise Conflict(
                f"nothing was done: run {run_id} has moved on since this page was drawn, it {about}",
                hint="look at it again, then decide",
            )
        return await self._send("POST", f"{place}/{word}", {"actor": actor})

    async def acknowledge(
        self, cause_key: str, *, actor: str, note: str, older: Mapping[str, object]
    ) -> dict[str, Any]:
        """Record that a person has seen a decision, and the `older` ones as they were shown; the first to do so stands."""
        body: dict[str, object] = {"actor": actor, **({"note": note} if note else {}), **older}
        return await self._send("POST", f"/causes/{quote(cause_key, safe='')}/acknowledge", body)

    async def roll_back(
        self, model: str, *, actor: str, reason: str, to_generation: int, expected_generation: int
    ) -> dict[str, Any]:
        """Release the version of `to_generation` again; once, as long as `expected_generation` is served."""
        body: dict[str, object] = {
            "actor": actor,
            "reason": reason,
            "to_generation": to_generation,
            "expected_generation": expected_generation,
        }
        done = await self._send("POST", f"/models/{quote(model, safe='')}/rollback", body)
        return dict(mapping(done.get("release")))

    async def _send(self, method: str, path: str, body: dict[str, object] | None = None) -> dict[str, Any]:
        base = self._where()
        arguments: dict[str, Any] = {"json": body} if body is not None else {}
        try:
            answer = await self._client.request(method, base + path, timeout=TIMEOUT_S, **arguments)
        except httpx.ConnectError as error:
            raise DependencyUnavailable(
                "nothing was done: retraining does not answer", hint="`homeostat status` names its log"
            ) from error
        except httpx.HTTPError as error:
            raise DependencyUnavailable(
                "retraining did not answer in time; whether it was done is not known",
                hint="the page shows it once retraining answers; pressing again does nothing twice",
            ) from error
        try:
            said = mapping(orjson.loads(answer.content))
        except orjson.JSONDecodeError:
            said = {}
        if answer.status_code >= 400:
            message = text(said, "error") or f"retraining returned status {answer.status_code}"
            raise Refused(answer.status_code, message, text(said, "hint"))
        return dict(said)
