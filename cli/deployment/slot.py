"""The slot that a deployment names, and waiting until inference serves it."""

from __future__ import annotations

import time
from typing import Any

from shared.errors import CallerError, DependencyUnavailable, OperatorError
from shared.http.service_client import ServiceClient

PAUSE_S = 0.2


def slot_of(canary: float | None, shadow: float | None) -> dict[str, object]:
    """The slot and share of a deployment, for retraining; empty for a live one. Raises CallerError."""
    if canary is not None and shadow is not None:
        raise CallerError(
            "--canary and --shadow cannot be combined", hint="deploy as a shadow first, then as a canary"
        )
    share = canary if canary is not None else shadow
    if share is None:
        return {}
    if share == 0:
        raise CallerError("a share is above 0", hint="`homeostat rollback MODEL --slot canary` ends a canary")
    return {"slot": "canary" if canary is not None else "shadow", "share": share}


def wait_until_served(
    inference: ServiceClient, model: str, generation: int, wait_s: float, *, release_slot: str = "live"
) -> None:
    """Wait until inference serves a release. Raises OperatorError after `wait_s` seconds, with its reason."""
    ends = time.monotonic() + wait_s
    while True:
        try:
            status = inference.get("/status.json")
            problem = (
                _not_served(status, model, generation)
                if release_slot == "live"
                else _side_not_served(status, model, generation)
            )
        except DependencyUnavailable as error:
            problem = error.message
        if not problem:
            return
        if time.monotonic() >= ends:
            raise OperatorError(
                f"{model} is released as generation {generation}, but inference does not serve it after {wait_s:.0f} s: "
                f"{problem}",
                hint="open inference's /status page; then run `homeostat rollback` or deploy again",
            )
        time.sleep(PAUSE_S)


def _not_served(status: dict[str, Any], model: str, generation: int) -> str:
    """Why the server does not serve the generation yet; empty if all of its workers do."""
    found = next((item for item in status["models"] if item["name"] == model), None)
    if found is None:
        return "it has not loaded the model yet"
    if int(found["generation"]) < generation:
        return str(found.get("last_error") or f"it serves generation {found['generation']}")
    for worker in status.get("workers", ()):
        served = {one["name"]: int(one["generation"]) for one in worker["models"]}
        if served.get(model, 0) < generation:
            problem = (
                worker.get("release_errors", {}).get(model)
                or f"it serves generation {served.get(model, 'none')}"
            )
            return f"worker {worker['worker']}: {problem}"
    return ""


def _side_not_served(status: dict[str, Any], model: str, generation: int) -> str:
    """The same of a canary or shadow, for the process that responds."""
    found = next((item for item in status["models"] if item["name"] == model), None)
    sides = found.get("sides", ()) if found else ()
    if any(int(side["generation"]) == generation for side in sides):
        return ""
    return next((str(side["last_error"]) for side in sides if side["last_error"]), "it is not loaded yet")
